"""A cell: the processes that grade completions with one source, and what is believed of what they say.

A fresh Python with a scrubbed environment (`warden.py`) forks one process per completion (`completion.py`).
This side gives each its input, waits no longer than its limit, and takes from its output a finite number or
a message, nothing else. Closing the cell ends all of it.
"""

import contextlib
import json
import math
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lambdas.sandbox.completion import UNCONFINED

SOURCE_ROOT = str(Path(__file__).parents[2])
PACKAGES = (
    *("ast_grep_py", "deepdiff", "jsonschema", "nltk", "numpy", "pandas", "pydantic", "rapidfuzz", "rdkit"),
    *("rouge_score", "scipy", "skbio", "sklearn", "sqlparse", "sympy", "yaml"),
)
"""Those of OpenAI's sandbox. One that a source imports and that is installed is imported once for all its
completions."""

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)|import[ \t]+([\w., \t]+))", re.MULTILINE)
_START = """
import os, sys
sys.path.insert(0, os.environ["OUTCROP_SANDBOX_SOURCE"])
from lambdas.sandbox import warden
warden.main()
"""
_START_SECONDS = 60
_GRACE_SECONDS = 10
_LARGEST_RESULT = 65_536
_KINDS = ("grader_exception", "invalid_reward")

Outcome = dict[str, Any]


class CellError(Exception):
    """The cell is broken; the message is for the grader's owner."""


class Cell:
    """Starting one raises CellError where it cannot be. `walls` are those around a grader in it."""

    def __init__(self, source: str, *, folder: Path) -> None:
        self._source = source
        self._folder = folder
        ours, theirs = socket.socketpair()
        self._control = ours
        settings = {"folder": str(folder), "control": theirs.fileno(), "modules": _packages(source)}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-I", "-c", _START, json.dumps(settings)],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            self.walls: list[str] = self._receive(_START_SECONDS)["walls"]
        except CellError:
            self.close()
            raise

    def __enter__(self) -> "Cell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing the cell started is left afterwards."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def grade(self, completion: Mapping[str, Any], seconds: float) -> Outcome:
        """`{"reward"}`, or `{"error", "message"}`. Raises: CellError if the cell is of no more use."""
        token = secrets.token_hex(16)
        given = {"token": token, "source": self._source, **completion}
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as file, os.fdopen(reading, "rb", buffering=0) as result:
            try:
                file.write(json.dumps(given).encode())
                file.seek(0)
                order = json.dumps({"seconds": seconds}).encode()
                socket.send_fds(self._control, [order], [file.fileno(), writing])
            except OSError as error:
                raise CellError("The sandbox's process ended.") from error
            finally:
                os.close(writing)
            said = self._read(result.fileno(), seconds + _GRACE_SECONDS)
            end = self._receive(_GRACE_SECONDS)
        return _believed(said, token, end, seconds)

    def _read(self, pipe: int, seconds: float) -> bytes:
        """The last of what is written until the completion's process has ended. (Until nobody can write any
        more would be longer, where a process could leave another one behind.)"""
        deadline, said = time.monotonic() + seconds, b""
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([pipe, self._control], [], [], left)
            if pipe in ready:
                part = os.read(pipe, _LARGEST_RESULT)
                if not part:
                    return said
                said = (said + part)[-_LARGEST_RESULT:]
            elif ready:  # the warden says how it ended
                return said
        raise CellError("The sandbox's process does not end.")

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The warden's next message, a line."""
        self._control.settimeout(seconds)
        line = b""
        try:
            while not line.endswith(b"\n"):
                part = self._control.recv(4096)
                if not part:
                    raise CellError("The sandbox's process ended.")
                line += part
        except OSError as error:
            raise CellError("The sandbox's process does not answer.") from error
        return json.loads(line)


def _packages(source: str) -> list[str]:
    """The modules of `PACKAGES` that a source says it imports, as far as can be told without reading it as
    Python, which takes long for a source that is made to."""
    named = [first for pair in _IMPORT.findall(source) for name in pair for first in name.split(",")]
    modules = [name.split()[0] for name in named if name.strip()]  # the rest of it is `as ...`
    return [one for one in dict.fromkeys(modules) if one.partition(".")[0] in PACKAGES]


def _environment(folder: Path) -> dict[str, str]:
    """All that the processes of a cell see of it: nothing of this process's own."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",  # a library's threads do not survive a fork
        "OPENBLAS_NUM_THREADS": "1",
        "OUTCROP_SANDBOX_SOURCE": SOURCE_ROOT,
    }


def _believed(said: bytes, token: str, end: Mapping[str, Any], seconds: float) -> Outcome:
    if end["timed_out"]:
        return _error("grader_timeout", f"grade() took longer than {seconds:g} s and was stopped.")
    if end["status"] == UNCONFINED:
        return _error("grader_unavailable", "A wall of the sandbox could not be raised for this completion.")
    if end["status"] == 0:
        for line in said.splitlines():
            if line.startswith(token.encode()):
                return _outcome(line[len(token) :])
    return _error("grader_exception", _ending(end["status"]))


def _outcome(line: bytes) -> Outcome:
    try:
        match json.loads(line):
            case {"reward": float(reward)} if math.isfinite(reward):
                return {"reward": reward}
            case {"error": str(kind), "message": str(message)} if kind in _KINDS:
                return _error(kind, message[:_LARGEST_RESULT])
    except (ValueError, RecursionError):
        pass
    return _error("invalid_reward", "The grader wrote something else in its reward's place.")


def _ending(status: int) -> str:
    if status >= 0:
        return "The grader ended its process (os._exit) before grade() returned."
    name = signal.Signals(-status).name
    why = {"SIGKILL": ": memory may have run out", "SIGXCPU": ": it used up its processor time"}.get(name, "")
    return f"The grader's process was ended by {name}{why}."


def _error(kind: str, message: str) -> Outcome:
    """Half a surrogate pair in one message would make the answer, with all the other outcomes, no JSON."""
    return {"error": kind, "message": message.encode(errors="replace").decode()}
