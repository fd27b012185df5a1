"""How long each Lambda handler takes to import in a fresh process, and how large what functions ship is.

`python -m benchmarks.cold_imports` prints two tables. Functions ship without bytecode (it would be that of
another Python), so a cold start compiles what it imports: measured so, and with bytecode for comparison.
Seconds are the processor's, which other work on the machine does not change.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import app  # noqa: F401 - names the node that `stacks.bundle` runs on
from scripts.synthesis import Templates, reading, templates
from stacks import bundle

_TIMES = 3
_PROBE = """
import sys, time
began = time.process_time()
__import__(sys.argv[1])
print(time.process_time() - began, len(sys.modules))
"""


def main() -> None:
    print("| handler | CPU s to import, as shipped | with bytecode | modules |\n|---|---|---|---|")
    for module in handlers(templates()):
        with tempfile.TemporaryDirectory() as bytecode:
            _import(module, bytecode)
            compiled, modules = min(_import(module, bytecode) for _ in range(_TIMES))
            for shipped_without in (sysconfig.get_path("purelib"), bundle.source_bundle()):
                shutil.rmtree(f"{bytecode}{shipped_without}")
            shipped = min(_import(module, bytecode, write=False)[0] for _ in range(_TIMES))
        print(f"| `{module}` | {shipped:.2f} | {compiled:.2f} | {modules} |", flush=True)
    print("\n| asset | MB | MB zipped |\n|---|---|---|")
    for name, folder in {
        "source of all functions": Path(bundle.source_bundle()),
        "layer `functions`": _layer("functions"),
        "layer `sandbox`": _layer("sandbox"),
    }.items():
        size, zipped = sizes(folder)
        print(f"| {name} | {size:.1f} | {zipped:.1f} |", flush=True)


def handlers(of: Templates) -> list[str]:
    """The modules of our own functions."""
    names = {
        function["Properties"]["Handler"].rpartition(".")[0]
        for template in of.values()
        for function in reading(template, "AWS::Lambda::Function").values()
        if "Handler" in function["Properties"]
    }
    return sorted({*(name for name in names if name.startswith("lambdas.")), "lambdas.inference.app"})


def sizes(folder: Path) -> tuple[float, float]:
    """Megabytes of its files, and of them in a zip."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    with tempfile.NamedTemporaryFile(suffix=".zip") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
        zipped = os.stat(target.name).st_size  # noqa: PTH116 - it has a name, not a path
    return sum(file.stat().st_size for file in files) / 1e6, zipped / 1e6


def _import(module: str, bytecode: str, *, write: bool = True) -> tuple[float, int]:
    """Seconds and modules. `bytecode` is the folder that has it, Python's own included."""
    environment = os.environ | {
        "PYTHONPATH": ".",
        "PYTHONPYCACHEPREFIX": bytecode,
        "PYTHONDONTWRITEBYTECODE": "" if write else "1",
    }
    done = subprocess.run(  # noqa: S603 - this Python, our own modules
        [sys.executable, "-c", _PROBE, module],
        cwd=bundle.source_bundle(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, count = done.stdout.split()
    return float(seconds), int(count)


def _layer(group: Any) -> Path:
    folder = bundle.new_folder()
    bundle._UvLayer(group).try_bundle(str(folder))
    return folder


if __name__ == "__main__":
    main()
