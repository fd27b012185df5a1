"""What container images are built from: a folder with a Dockerfile, the locked packages, and the source.

`python -m stacks.build_contexts trainer FOLDER` writes the training image's, `verl` that of training on
several machines, `sandbox` that of the sandbox function. A folder has nothing that does not end up in its
image, so its hash can be the image's tag: what else changes in the repository builds nothing.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from stacks.uv import ROOT, run_uv

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_NOT_THE_TRAINERS = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "cli", "operations", "serving")


def trainer(folder: Path) -> None:
    """As `training_image/Dockerfile` wants it. Of the domain, what the trainer may import."""
    _requirements(folder, "--no-default-groups", "--group", "trainer", "--group", "vllm", "--no-emit-project")
    shutil.copytree(ROOT / "outcrop", folder / "outcrop", ignore=_NOT_THE_TRAINERS)
    shutil.copytree(ROOT / "training_image", folder / "training_image", ignore=_IGNORED)
    shutil.move(folder / "training_image" / "Dockerfile", folder)


def verl(folder: Path) -> None:
    """As `training_image/verl/Dockerfile` wants it."""
    _requirements(folder, "--only-group", "verl")
    shutil.copytree(ROOT / "outcrop", folder / "outcrop", ignore=_NOT_THE_TRAINERS)
    shutil.copytree(ROOT / "training_image", folder / "training_image", ignore=_IGNORED)
    (folder / "training_image" / "Dockerfile").unlink()
    shutil.move(folder / "training_image" / "verl" / "Dockerfile", folder)


def sandbox(folder: Path) -> None:
    """As `lambdas/sandbox/Dockerfile` wants it."""
    _requirements(folder, "--only-group", "sandbox-full")
    source = folder / "lambdas" / "sandbox"
    shutil.copytree(ROOT / "lambdas" / "sandbox", source, ignore=_IGNORED)
    for file in ("Dockerfile", "nltk_data.py"):
        shutil.move(source / file, folder)


CONTEXTS: dict[str, Callable[[Path], None]] = {"trainer": trainer, "verl": verl, "sandbox": sandbox}


def _requirements(folder: Path, *groups: str) -> None:
    export = ["export", "--frozen", "--quiet", "--no-header", *groups]
    run_uv(*export, "--output-file", str(folder / "requirements.txt"))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CONTEXTS:
        sys.exit(f"usage: python -m stacks.build_contexts {'|'.join(CONTEXTS)} FOLDER")
    made = Path(sys.argv[2])
    if made.exists():
        sys.exit(f"{made} exists already.")
    made.mkdir(parents=True)
    CONTEXTS[sys.argv[1]](made.resolve())
