"""What the process of one completion does: raise its walls, load the source, call `grade`, say the reward.

The result goes to a descriptor of its own, behind a token that came with the input, so that nothing a grader
prints, or writes to descriptors it finds, is taken for it by accident. A grader that sets out to can still
find both: it shares the process with this code. What it wins is a say in the reward of this one completion,
which was its to give anyway: the process knows nothing of any other, and its owner believes no more than a
finite number or a message.
"""

import builtins
import json
import linecache
import math
import os
import sys
import traceback
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from lambdas.sandbox import walls

NAME = "grader"
FILE = f"{NAME}.py"
UNCONFINED = 97
"""The status of a process that could not get ready for its grader."""
_LONGEST_MESSAGE = 2000

Result = dict[str, Any]


def run(source: int, result: int, folder: Path, seconds: float, expected: list[walls.Wall]) -> NoReturn:
    """Never returns, and leaves nothing to do to threads or exit handlers of the grader. Without every wall
    that is `expected` it does not get as far as the grader."""
    status = UNCONFINED
    try:
        walls.end_with_parent()
        with os.fdopen(source, "rb") as file:
            given = json.load(file)
        token = given.pop("token").encode()
        result = _alone_with(result)
        walls.limit(seconds)
        os.chdir(folder)
        if walls.raise_walls(folder) != expected:
            os._exit(status)
        status = 1
        dumps, write = json.dumps, _write  # looked up before the grader runs: it may replace what names mean
        line = dumps(_graded(**given)).encode()
        write(result, b"\n" + token + line + b"\n")
        status = 0
    finally:
        os._exit(status)


def _alone_with(result: int) -> int:
    """No descriptor is open but the one for the result; what is printed goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    kept = os.dup2(result, 3, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return kept


def _graded(source: str, item: dict[str, Any], sample: dict[str, Any]) -> Result:
    names = dict(vars(builtins))
    number, failed, problem = _number, _failed, sys.exc_info
    try:
        code = compile(source, FILE, "exec", dont_inherit=True)
        reward = _module(source, code)(sample, item)
        names["vars"](builtins).update(names)
        return number(reward)
    except BaseException:  # SystemExit and KeyboardInterrupt are the grader's too
        names["vars"](builtins).update(names)
        return failed(*problem())


def _module(source: str, code: CodeType) -> Any:
    """`grade`, of the source loaded as the module `grader`."""
    module = ModuleType(NAME)
    module.__file__ = FILE
    sys.modules[NAME] = module
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    exec(code, module.__dict__)  # noqa: S102 - what all these walls are for
    return module.__dict__["grade"]


def _number(reward: Any) -> Result:
    """The reward, if it is a finite real number and nothing that only behaves like one."""
    kind = type(reward)
    value = reward.item() if kind.__module__ == "numpy" and hasattr(reward, "item") else reward
    real = type(value)  # which, unlike `__class__`, cannot be claimed
    if issubclass(real, bool) or not issubclass(real, int | float):
        said = "None" if reward is None else f"{kind.__name__}: {_short(reward)}"
        return _error("invalid_reward", f"grade() has to return a number, not {said}.")
    try:
        exact = float.__pos__(value) if issubclass(real, float) else int.__truediv__(int.__pos__(value), 1)
    except OverflowError:
        return _error("invalid_reward", "grade() returned a whole number too large for a float.")
    if not math.isfinite(exact):
        return _error("invalid_reward", f"grade() returned {exact}; a reward has to be finite.")
    return {"reward": exact}


def _failed(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> Result:
    assert kind is not None and error is not None  # it is called where one was caught
    if isinstance(error, SystemExit):
        return _error("grader_exception", f"The grader called sys.exit({_short(error.code)}).")
    if kind is KeyError and error.args == ("grade",) and trace is not None and _is_ours(trace):
        return _error("grader_exception", "The source has no function 'grade(sample, item)'.")
    told = traceback.TracebackException(kind, error, trace)
    _leave_out_ours(told)
    return _error("grader_exception", "".join(told.format()))


def _is_ours(trace: TracebackType) -> bool:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename == __file__


def _leave_out_ours(told: traceback.TracebackException) -> None:
    """Keep the lines of the grader's source, of every exception that led to this one."""
    waiting, seen = [told], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if frame.filename == FILE])
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]


def _error(kind: str, message: str) -> Result:
    message = message.strip()
    if len(message) > _LONGEST_MESSAGE:
        # How it began, and above all the error itself, which comes last.
        message = f"{message[:500]}\n...\n{message[500 - _LONGEST_MESSAGE :]}"
    return {"error": kind, "message": message}


def _short(value: Any) -> str:
    try:
        return repr(value)[:60]
    except BaseException:
        return "?"


def _write(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]
