"""Grades completions with a customer's Python, behind walls: the function of `stacks/sandbox.py`.

Event: `{"source", "completions": [{"item", "sample"}], "seconds"}`. Answer: `{"outcomes", "walls"}`, each
outcome being `{"reward": 0.5}` or `{"error": kind, "message": text}`. Outcomes are in the order of the
completions; where time would not suffice for the last ones, theirs are missing, and the caller asks again.

Where a wall that has to stand does not, no line of the source is run: every completion is answered
`grader_unavailable`. Nothing that is graded is logged. On AWS this folder is the whole function, so it
imports nothing of `outcrop`.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lambdas.sandbox import walls, warden
from lambdas.sandbox.cell import Cell, CellError, Outcome

LONGEST_SECONDS = 120
"""OpenAI's limit for one grading."""
_MARGIN_SECONDS = 20
_IS_AWS = os.environ.get("AWS_EXECUTION_ENV", "").startswith("AWS_Lambda_")
_REQUIRED = frozenset({"no_new_privileges", "landlock", "seccomp"})

walls.hide()
if _IS_AWS:
    walls.adopt_orphans()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    completions = event["completions"]
    seconds = min(float(event.get("seconds") or LONGEST_SECONDS), LONGEST_SECONDS)
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS
    outcomes: list[Outcome] = []
    standing: list[str] = []
    with _folder() as folder:
        while len(outcomes) < len(completions) and (not outcomes or time.monotonic() + seconds < ends):
            try:
                with Cell(event["source"], folder=folder) as cell:
                    standing = cell.walls
                    if refusal := _refusal(standing, context):
                        return _answer([_unavailable(refusal)] * len(completions), standing)
                    for completion in completions[len(outcomes) :]:
                        outcomes.append(cell.grade(completion, seconds))
                        if time.monotonic() + seconds > ends:
                            break
            except CellError as error:  # the next completions get another cell
                outcomes.append(_unavailable(str(error)))
    return _answer(outcomes, standing)


def _refusal(standing: list[str], context: Any) -> str:
    if _IS_AWS:
        tenant = getattr(context, "tenant_id", None)
        return (
            "" if tenant else "The sandbox function has no tenant isolation, or was called without a tenant."
        )
    missing = sorted(_REQUIRED - set(standing))
    if not missing:
        return ""
    return (
        f"This machine cannot confine a Python grader: it has no {', '.join(missing)}. It takes Linux 5.13 "
        "or later on x86_64 or arm64, outside of containers that forbid them."
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """The one folder a grader may write. On AWS all of /tmp, the function's own, is cleared: no landlock
    keeps a grader from the rest of it."""
    if _IS_AWS:
        folder, before = Path(tempfile.gettempdir()), _children()
        try:
            yield folder
        finally:
            _end_strays(before)
            warden.empty(folder)
        return
    with tempfile.TemporaryDirectory(prefix="outcrop-sandbox-") as name:
        yield Path(name)


def _children() -> set[int]:
    files = Path("/proc/self/task").glob("*/children")
    return {int(child) for file in files for child in file.read_text().split()}


def _end_strays(before: set[int]) -> None:
    """End what a grader started and took out of its cell's group: having lost its parent, it is a child of
    this process. Where seccomp stands, there is none."""
    while strays := _children() - before:
        for stray in strays:
            with suppress(OSError):
                os.kill(stray, signal.SIGKILL)
                os.waitpid(stray, 0)


def _answer(outcomes: list[Outcome], standing: list[str]) -> dict[str, Any]:
    return {"outcomes": outcomes, "walls": standing}


def _unavailable(message: str) -> Outcome:
    return {"error": "grader_unavailable", "message": message}
