"""The program of a cell (`cell.py`): forks a process per completion, times it, and clears up after it.

`python -I -c "... warden.main()" SETTINGS`, with a scrubbed environment and file descriptors. It never runs a
grader's code and never sees a completion: it imports the packages that the source names, once, and hands each
forked process two descriptors that come from outside, its input and its output. So a completion starts from
a process that nothing has touched, at the price of a fork.
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lambdas.sandbox import completion, walls


@dataclass(frozen=True)
class Settings:
    folder: str
    """That a grader may write; emptied after each completion."""
    control: int
    """The descriptor of the socket to the cell's owner."""
    modules: list[str]
    """To import before the first completion."""


@dataclass(frozen=True)
class End:
    """How a completion's process ended."""

    status: int
    """As of `os.waitstatus_to_exitcode`: negative for a signal."""
    timed_out: bool


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    folder = Path(settings.folder)
    control = socket.socket(fileno=settings.control)
    sys.path[:] = [path for path in sys.path if path != os.environ["OUTCROP_SANDBOX_SOURCE"]]
    has_namespaces = walls.enter_namespaces()
    walls.hide()
    walls.end_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory ends, it is this that ends first
    for module in settings.modules:
        with contextlib.suppress(Exception):  # the grader's own import says what is wrong
            importlib.import_module(module)
    gc.freeze()  # what is here now is shared with every fork, as long as nobody touches it
    standing = _try_walls(folder)
    _send(control, {"walls": [*(["namespaces"] if has_namespaces else []), *standing]})
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1024, 2)
        if not message:
            return
        source, result = descriptors
        seconds = json.loads(message)["seconds"]
        is_mounted = has_namespaces and walls.mount_folder(folder)
        child = os.fork()
        if child == 0:
            completion.run(source, result, folder, seconds, standing)
        os.close(source)
        os.close(result)
        end = _wait(child, seconds)
        if is_mounted:
            walls.unmount_folder(folder)
        else:
            empty(folder)
        _send(control, asdict(end))


def _try_walls(folder: Path) -> list[walls.Wall]:
    """The walls that a process can raise here, found out by one that does nothing else."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(walls.raise_walls(folder)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raised = pipe.read()
    os.waitpid(child, 0)
    return json.loads(raised or b"[]")


def _wait(child: int, seconds: float) -> End:
    deadline, pause, timed_out = time.monotonic() + seconds, 0.0005, False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return End(os.waitstatus_to_exitcode(status), timed_out)
        if time.monotonic() > deadline and not timed_out:
            timed_out = True
            os.kill(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def empty(folder: Path) -> None:
    """Whatever a grader left there, folders it closed to itself included."""
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(place).chmod(0o700)
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")
