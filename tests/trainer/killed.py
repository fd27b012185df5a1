"""A trainer's process that ends itself by SIGKILL at a chosen moment: before or after the n-th call of a
function, or at the n-th call of any function of ours.

Processes are forked from one that has imported the trainer, which takes longer than a short run.
"""

import inspect
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

_ROOT = Path(__file__).resolve().parents[2]
_OURS = tuple(str(_ROOT / room) for room in ("training_image", "outcrop"))
_PRELOADED = ["training_image.train", "training_image.trainer.reporter", "outcrop.graders.pipeline"]

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([*_PRELOADED, __name__])


@dataclass(frozen=True)
class Moment:
    function: str
    """`package.module:name` or `package.module:Class.method`; `*` is every function of ours."""
    call: int = 1
    """Which call of it, from 1."""
    when: Literal["before", "after", "told to stop"] = "before"
    """Told to stop, the process gets SIGTERM instead, and hangs there if that does not end it."""

    def __str__(self) -> str:
        return f"{self.when} call {self.call} of {self.function.rpartition(':')[2]}"


def start(
    environment: Mapping[str, str], moment: Moment | None = None, **constants: float
) -> "ForkServerProcess":
    """A trainer's process, in which `constants` of the reporter have other values."""
    process = processes.Process(target=train, args=(dict(environment), moment, None, constants))
    process.start()
    return process


def run(environment: Mapping[str, str], moment: Moment | None = None, **constants: float) -> int:
    """The exit status of a trainer's process, -9 if it was killed."""
    process = start(environment, moment, **constants)
    process.join(timeout=600)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError("The trainer did not end.")
    return process.exitcode


def count_calls(environment: Mapping[str, str], told: Path) -> int:
    """How many calls of functions of ours a whole run makes."""
    process = processes.Process(target=train, args=(dict(environment), None, told))
    process.start()
    process.join(timeout=600)
    assert process.exitcode == 0
    return int(told.read_text())


def train(
    environment: dict[str, str],
    moment: Moment | None,
    told: Path | None = None,
    constants: Mapping[str, float] | None = None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    import torch

    from training_image.train import main
    from training_image.trainer import reporter

    for name, value in (constants or {}).items():
        assert hasattr(reporter, name)
        setattr(reporter, name, value)
    torch.set_num_threads(1)
    torch.set_num_threads = lambda *_: None  # a second thread would wait for its turn where others run too

    calls = _Calls(moment.call if moment else 0)
    if told or (moment and moment.function == "*"):
        threading.setprofile(calls)
        sys.setprofile(calls)
    elif moment:
        _arm(moment)
    main()
    sys.setprofile(None)
    if told:
        told.write_text(str(calls.count))


class _Calls:
    """A profiler that counts the calls of functions of ours, and kills at one of them."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_OURS):
            self.count += 1
            if self.count == self._last:
                _die()


def _arm(moment: Moment) -> None:
    module, _, path = moment.function.partition(":")
    *owners, name = path.split(".")
    owner: Any = __import__(module, fromlist=["_"])
    for one in owners:
        owner = getattr(owner, one)
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def killing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == moment.call and moment.when == "before":
            _die()
        if calls == moment.call and moment.when == "told to stop":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(3600)
        answer = original(*args, **kwargs)
        if calls == moment.call:
            _die()
        return answer

    is_static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    setattr(owner, name, staticmethod(killing) if is_static else killing)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
