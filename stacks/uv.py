"""uv, by which every synth reads the lock: for layers, and for what images are built from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run_uv(*arguments: str) -> None:
    """Raises: RuntimeError, with uv's own words."""
    command = [*uv_command(), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"Packages cannot be installed. {' '.join(command)}:\n{done.stderr}")


def uv_command() -> list[str]:
    found = shutil.which(
        "uv", path=os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".tools" / "bin")])
    )
    return [found] if found else [sys.executable, "-m", "uv"]
