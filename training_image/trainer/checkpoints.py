"""Resume state on disk: a checkpoint is complete and proven, or it does not exist.

It is written to a temporary folder, synced, described by a manifest of sha256 sums written last, and renamed
into place. Whatever a crash leaves behind fails the check and the checkpoint before it is used.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

MANIFEST = "manifest.json"
_KEPT = 2
_UNFINISHED = "tmp-"


def save(root: Path, step: int, write: Callable[[Path], None]) -> Path:
    """The folder `step-NNNNNN` below `root` with what `write` puts there; older ones but one are removed.

    Raises: OSError (the disk is full); nothing of the new checkpoint is left then, and the older ones stay.
    """
    root.mkdir(parents=True, exist_ok=True)
    made, temporary = _folder(root, step), root / f"{_UNFINISHED}{step:06d}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        write(temporary)
        files = {file.name: _sum(file) for file in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps({"step": step, "sha256": files}))
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        shutil.rmtree(made, ignore_errors=True)
        temporary.rename(made)
        _sync(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in _folders(root)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return made


def is_there(root: Path, step: int) -> bool:
    return _folder(root, step).is_dir()


def newest(root: Path, on_invalid: Callable[[Path, str], object]) -> Path | None:
    """The newest valid checkpoint; others are removed, and told to `on_invalid` with the reason."""
    for folder in root.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in _folders(root):
        problem = _problem(folder)
        if problem is None:
            return folder
        on_invalid(folder, problem)
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _folder(root: Path, step: int) -> Path:
    return root / f"step-{step:06d}"


def _folders(root: Path) -> list[Path]:
    """Newest first."""
    found = (folder for folder in root.glob(f"step-{'[0-9]' * 6}") if folder.is_dir())
    return sorted(found, reverse=True)


def _problem(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        files = list(json.loads((folder / MANIFEST).read_bytes())["sha256"].items())
    except FileNotFoundError:
        return "it has no manifest"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is not readable"
    for name, sum in files:
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if _sum(file) != sum:
            return f"{name} is not what was written"
    return None


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
