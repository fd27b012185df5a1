"""How long each Lambda handler takes to import in a fresh process, and how large what functions ship is.

`python -m benchmarks.cold_imports` prints two tables. Functions ship without bytecode (it would be that of
another Python), so a cold start compiles what it imports: measured so, and with bytecode for comparison.
Seconds are the processor's, which other work on the machine does not change.
"""

import os
import subprocess
import sys
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
        with tempfile.TemporaryDirectory() as compiled:
            shipped = min(_import(module)[0] for _ in range(_TIMES))
            _import(module, compiled)
            warm, modules = min(_import(module, compiled) for _ in range(_TIMES))
        print(f"| `{module}` | {shipped:.2f} | {warm:.2f} | {modules} |", flush=True)
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


def _import(module: str, bytecode: str = "") -> tuple[float, int]:
    """Seconds and modules. `bytecode` is the folder that has it; none is read or written without one."""
    with tempfile.TemporaryDirectory() as nothing:
        environment = os.environ | {"PYTHONPATH": ".", "PYTHONPYCACHEPREFIX": bytecode or nothing}
        if not bytecode:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(  # noqa: S603 - this Python, our own modules
            [sys.executable, "-c", _PROBE, module],
            cwd=bundle.source_bundle(),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)


def _layer(group: Any) -> Path:
    folder = bundle.new_folder()
    bundle._UvLayer(group).try_bundle(str(folder))
    return folder


if __name__ == "__main__":
    main()
