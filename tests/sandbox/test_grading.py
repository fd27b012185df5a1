"""What `grade(sample, item)` is given, what it may return, and how its failures are told."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.grading import answer, grade

REPOSITORY = Path(__file__).parents[2]


def test_grade_gets_the_sample_and_the_item() -> None:
    source = """
def grade(sample, item):
    return len(sample["output_text"]) + item["bonus"] / 2
"""

    assert grade(source, {"bonus": 1}, {"bonus": 3}) == [{"reward": 5.5}, {"reward": 6.5}]


def test_a_whole_number_is_a_reward() -> None:
    assert grade("def grade(sample, item): return 1") == [{"reward": 1.0}]


def test_packages_are_there_and_work_behind_the_walls() -> None:
    source = """
import importlib.util
import numpy as np, rapidfuzz

names = ["deepdiff", "jsonschema", "nltk", "pandas", "pydantic", "rouge_score", "scipy", "sqlparse", "sympy"]

def grade(sample, item):
    import yaml  # not imported before the walls were raised
    assert all(importlib.util.find_spec(name) for name in names)
    assert yaml.safe_load("a: 1") == {"a": 1}
    similarity = rapidfuzz.fuzz.ratio(sample["output_text"], "hello") / 100
    return np.mean([similarity, *np.linalg.svd(np.zeros((64, 64)))[1]]) * 65
"""

    assert grade(source) == [{"reward": 1.0}]


def test_threads_asyncio_signals_and_temporary_files_work() -> None:
    source = """
import asyncio, concurrent.futures, signal, tempfile, time

async def later():
    await asyncio.sleep(0)
    return 1.0

def grade(sample, item):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(float, range(3)))
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("2")
        file.seek(0)
        total += float(file.read())
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        time.sleep(5)
    except TimeoutError:
        total += asyncio.run(later())
    return total
"""

    assert grade(source) == [{"reward": 6.0}]


def test_a_dataclass_and_a_pickle_know_their_module() -> None:
    source = """
from __future__ import annotations
import pickle
from dataclasses import dataclass

@dataclass
class Weights:
    exact: float = 0.5

def grade(sample, item):
    return pickle.loads(pickle.dumps(Weights())).exact
"""

    assert grade(source) == [{"reward": 0.5}]


def test_an_exception_is_told_by_the_graders_own_lines() -> None:
    source = """import json

def parse(text):
    return json.loads(text)

def grade(sample, item):
    try:
        return parse(sample["output_text"])
    except ValueError as error:
        raise LookupError("no JSON") from error
"""

    [outcome] = grade(source)

    assert outcome["error"] == "grader_exception"
    assert outcome["message"].splitlines()[0] == "Traceback (most recent call last):"
    assert 'File "grader.py", line 8, in grade\n    return parse(sample["output_text"])' in outcome["message"]
    assert 'File "grader.py", line 4, in parse\n    return json.loads(text)' in outcome["message"]
    assert "json.decoder.JSONDecodeError: Expecting value" in outcome["message"]
    assert outcome["message"].endswith("LookupError: no JSON")
    assert outcome["message"].count("File ") == outcome["message"].count('File "grader.py"')


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def grade(sample, item:\n    return 1", "SyntaxError: '(' was never closed"),
        ("score = 1", "The source has no function 'grade(sample, item)'."),
        ("raise RuntimeError('at import')", "line 1, in <module>"),
        ("import absent_package\ndef grade(s, i): return 1", "No module named 'absent_package'"),
        ("def grade(sample): return 1.0", "takes 1 positional argument but 2 were given"),
        ("def grade(sample, item): return item['grade']", "KeyError: 'grade'"),
        ("def grade(sample, item): raise KeyError('grade')", "KeyError: 'grade'"),
    ],
)
def test_what_is_wrong_with_a_source_is_said(source: str, said: str) -> None:
    [outcome] = grade(source)

    assert outcome["error"] == "grader_exception"
    assert said in outcome["message"]
    assert "lambdas" not in outcome["message"]


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    [outcome] = grade("def grade(sample, item): raise ValueError('x' * 10_000 + ' the end')")

    assert len(outcome["message"]) <= 2010
    assert outcome["message"].startswith("Traceback")
    assert outcome["message"].endswith("xx the end")


def test_a_message_that_is_no_text_costs_its_own_completion_only() -> None:
    source = """
def grade(sample, item):
    if item["bad"]:
        raise ValueError("\\ud800")
    return 1
"""

    told = answer(source, [{"bad": True}, {"bad": False}])["outcomes"]

    assert told[0]["error"] == "grader_exception"
    assert "?" in told[0]["message"].encode().decode()
    assert told[1] == {"reward": 1.0}


def test_nothing_of_a_completion_is_left_for_the_next() -> None:
    source = """
import builtins, json, math, mmap, os, sys, tempfile

shared, seen = mmap.mmap(-1, 8), []

def grade(sample, item):
    found = [*seen, *os.listdir("."), *os.listdir(tempfile.gettempdir())]
    found += [1] if hasattr(builtins, "left") or "left" in os.environ or "left" in sys.modules else []
    found += [1] if shared[0] or json.loads("1") != 1 or math.pi != 3.141592653589793 else []
    seen.append(1)
    shared[0] = 1
    builtins.left = sys.modules["left"] = json
    os.environ["left"] = "1"
    json.loads = lambda _: 2
    math.pi = 3
    os.makedirs("closed/inner")
    open("closed/inner/left", "w").write("left")
    os.chmod("closed", 0)
    return len(found)
"""

    assert grade(source, *[{} for _ in range(4)]) == [{"reward": 0.0}] * 4


def test_a_process_that_ends_costs_its_own_completion_only() -> None:
    source = """
import os

def grade(sample, item):
    if item["n"] == 1:
        os._exit(3)
    if item["n"] == 2:
        os.kill(os.getpid(), 9)
    return float(item["n"])
"""

    first, second, third, fourth = grade(source, *[{"n": n} for n in range(4)])

    assert (first, fourth) == ({"reward": 0.0}, {"reward": 3.0})
    assert second["message"] == "The grader ended its process (os._exit) before grade() returned."
    assert third["message"] == "The grader's process was ended by SIGKILL: memory may have run out."


def test_completions_that_there_is_no_time_for_are_left_to_another_call() -> None:
    source = "def grade(sample, item): return 1.0"

    enough = answer(source, [{}] * 3, seconds=5, time_left_ms=60_000)["outcomes"]
    too_little = answer(source, [{}] * 3, seconds=50, time_left_ms=60_000)["outcomes"]

    assert enough == [{"reward": 1.0}] * 3
    assert too_little == [{"reward": 1.0}]


# Takes away from a process, and all it starts, what a kernel may not have. It is a filter itself.
_WITHOUT = """
import ctypes, errno, os, platform, struct, sys
from lambdas.sandbox import syscalls
column, architecture = syscalls._MACHINES[platform.machine()]
missing = [syscalls._numbers(call, column)[0] for call in sys.argv[1].split()]
program = [(0x20, 0, 0, 0)]
for number in missing:
    program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno.EPERM)]
program.append((0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
fprog = syscalls._Program(len(program), ctypes.cast(code, ctypes.c_void_p))
assert libc.syscall(syscalls._numbers(syscalls._SECCOMP, column)[0], 1, 0, ctypes.byref(fprog)) == 0
from types import SimpleNamespace
from lambdas.sandbox.handler import handler
context = SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000, tenant_id=sys.argv[3] or None)
said = handler({"source": sys.argv[2], "completions": [{"item": {}, "sample": {}}]}, context)
print(said | {"left": open("/proc/self/task/%d/children" % os.getpid()).read().split()})
"""
_LANDLOCK, _SECCOMP, _UNSHARE = "landlock:444:444", "seccomp:317:277", "unshare:272:97"
_LEAVES_A_MARK = "import os, sys\ndef grade(s, i):\n    os.write(2, b'x')\n    return 0.5"


def _without(calls: str, source: str, *, tenant: str = "", **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, calls, source, tenant],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return eval(done.stdout)  # what the line above printed


@pytest.mark.parametrize(("call", "missing"), [(_SECCOMP, "seccomp"), (_LANDLOCK, "landlock")])
def test_where_a_wall_is_missing_nothing_is_run(call: str, missing: str) -> None:
    said = _without(call, _LEAVES_A_MARK)

    [outcome] = said["outcomes"]
    assert missing not in said["walls"]
    assert outcome["error"] == "grader_unavailable"
    assert f"This machine cannot confine a Python grader: it has no {missing}." in outcome["message"]


def test_namespaces_come_on_top() -> None:
    said = _without(_UNSHARE, "import os\ndef grade(s, i):\n    return float(len(os.listdir('.')))")

    assert said["outcomes"] == [{"reward": 0.0}]
    assert said["walls"] == ["no_new_privileges", "landlock", "seccomp"]


def test_on_aws_the_function_is_the_wall_and_keeps_tenants_apart(tmp_path: Path) -> None:
    """As Lambda is said to be: no filter, no namespace, no landlock."""
    source = """
import os, time
def grade(s, i):
    open('left', 'w').write('x')
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    return 0.5
"""
    lambda_ = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "TMPDIR": str(tmp_path)}
    calls = " ".join([_SECCOMP, _LANDLOCK, _UNSHARE])

    with_tenant = _without(calls, source, tenant="acme", **lambda_)
    without = _without(calls, source, **lambda_)

    assert with_tenant == {"outcomes": [{"reward": 0.5}], "walls": ["no_new_privileges"], "left": []}
    assert [*tmp_path.iterdir()] == []
    assert without["outcomes"][0]["error"] == "grader_unavailable"
    assert "without a tenant" in without["outcomes"][0]["message"]
