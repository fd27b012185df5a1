"""The `python` grader: what is refused unread, and what is made of the sandbox's answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outcrop.errors import APIError
from outcrop.graders.pipeline import GraderPipeline, check
from outcrop.graders.python_grader import MAX_SOURCE_BYTES
from outcrop.settings import settings
from outcrop.types.grader import CustomCodeGrader, PythonGrader
from tests.graders.grading import a_completion
from tests.graders.lambda_endpoint import Handler, LambdaEndpoint, TimedOut
from tests.sandbox.grading import run as sandbox

HALF = "def grade(sample, item):\n    return 0.5\n"
NUMBER = """
def grade(sample, item):
    return float(sample["output_text"]) + len(item["reference_answer"])
"""

Grading = Callable[..., GraderPipeline]


@pytest.fixture
def grading(endpoint: LambdaEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grading]:
    """`grading(source, handler)`: a pipeline whose sandbox function is `handler`, the real one by default."""
    opened: list[GraderPipeline] = []

    def make(source: str = HALF, handler: Handler = sandbox, **options: Any) -> GraderPipeline:
        arn = endpoint.function(handler, name="OutcropSandbox-Sandbox1-A", timeout_seconds=60)
        monkeypatch.setenv("OUTCROP_SANDBOX_FUNCTION", arn)
        settings.cache_clear()
        grader = PythonGrader(type="python", source=source)
        opened.append(GraderPipeline(grader, backoff_seconds=0, project="acme", **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    settings.cache_clear()


def test_completions_are_graded_in_batches_and_in_order(grading: Grading, endpoint: LambdaEndpoint) -> None:
    rewards = grading(NUMBER, concurrency=2).grade([a_completion(str(n)) for n in range(40)])

    assert [one.reward for one in rewards] == [n + 1.0 for n in range(40)]
    assert len(endpoint.events) < 20


def test_an_exception_costs_its_completion_alone(grading: Grading) -> None:
    good, bad = grading(NUMBER, concurrency=1).grade([a_completion("4"), a_completion("four")])

    assert good.reward == 5.0
    assert bad.error == "grader_exception"
    assert (bad.message or "").endswith("ValueError: could not convert string to float: 'four'")


def test_the_sandbox_is_told_whose_grader_it_is(grading: Grading, endpoint: LambdaEndpoint) -> None:
    grading().grade([a_completion()])

    assert endpoint.tenants == ["acme"]


def test_those_there_was_no_time_for_are_asked_for_again(grading: Grading, endpoint: LambdaEndpoint) -> None:
    def one_at_a_time(event: Any, _: Any) -> Any:
        return {"outcomes": [{"reward": float(event["completions"][0]["sample"]["output_text"])}]}

    rewards = grading(HALF, one_at_a_time, concurrency=1).grade([a_completion(str(n)) for n in range(5)])

    assert [one.reward for one in rewards] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_completion_that_breaks_the_sandbox_is_found(grading: Grading) -> None:
    def breaking(event: Any, context: Any) -> Any:
        if any(one["sample"]["output_text"] == "3" for one in event["completions"]):
            raise TimedOut
        return {"outcomes": [{"reward": 1.0}] * len(event["completions"])}

    rewards = grading(HALF, breaking, concurrency=1).grade([a_completion(str(n)) for n in range(8)])

    assert [one.error for one in rewards] == [None] * 3 + ["grader_unavailable"] + [None] * 4
    assert (rewards[3].message or "").startswith("The sandbox failed: The function ran into its own time-out")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"outcomes": []},
        {"outcomes": [{}]},
        {"outcomes": [{"reward": "1"}]},
        {"outcomes": [{"error": "x"}]},
    ],
)
def test_an_answer_that_is_none_gives_no_reward(grading: Grading, answer: Any) -> None:
    [reward] = grading(HALF, lambda *_: answer).grade([a_completion()])

    assert reward.reward is None
    assert reward.error in ("grader_unavailable", "invalid_reward")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def grade(sample, item)\n    return 1", "The source does not compile: line 1: expected ':'."),
        ("x = 1\n\n  y = 2", "The source does not compile: line 3: unexpected indent."),
        ("return 1", "The source does not compile: line 1: 'return' outside function."),
        ("a = '\0'", "The source does not compile: "),
        ("x = " + "(" * 300 + ")" * 300, "The source does not compile: "),
        ("x = " + "-" * 50_000 + "1", "The source does not compile: it is nested too deeply."),
        (
            "def score(sample, item):\n    return 1",
            r"The source has no 'grade': it needs 'def grade\(sample, item\)' at its top level.",
        ),
        ("class A:\n    def grade(self, item): return 1", "The source has no 'grade'"),
        ("", "The source has no 'grade'"),
        (
            "\ndef grade(sample):\n    return 1",
            "line 2: grade has to take two arguments, .* it takes .sample..",
        ),
        ("def grade(a, b, c): return 1", "line 1: grade has to take two arguments"),
        ("def grade(*, sample, item): return 1", "line 1: grade has to take two arguments"),
        ("async def grade(sample, item): return 1", "line 1: grade has to be 'def', not 'async def'"),
        ("class grade: pass", "line 1: grade has to be a function, not a class"),
        ("#" * (MAX_SOURCE_BYTES + 1), "The source has 256,001 bytes; a Python grader has at most 256,000."),
        ("# " + "é" * 128_000, "The source has 256,002 bytes"),
    ],
)
def test_a_source_that_cannot_work_is_refused_unrun(grading: Grading, source: str, message: str) -> None:
    grading()

    with pytest.raises(APIError, match=message) as caught:
        check(PythonGrader(type="python", source=source), param="grader")

    assert caught.value.param == "grader.source"


@pytest.mark.parametrize(
    "source",
    [
        "def grade(sample, item): return 1",
        "def grade(s, i, weight=0.5): return 1",
        "def grade(*arguments): return 1",
        "grade = lambda sample, item: 1.0",
        "from functools import partial\ngrade: object = partial(max, 0)",
        "from json import loads as grade",
        "try:\n    import numpy\n    def grade(s, i): return 1\n"
        "except ImportError:\n    def grade(s, i): return 0",
        "import os; os._exit(1)\ndef grade(sample, item): return 1",
    ],
)
def test_a_source_that_may_work_passes_unrun(grading: Grading, source: str) -> None:
    grading()

    check(PythonGrader(type="python", source=source, image_tag="2025-05-08"))


def test_without_a_sandbox_a_python_grader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTCROP_SANDBOX_FUNCTION", raising=False)
    settings.cache_clear()

    with pytest.raises(APIError, match="This deployment has no sandbox"):
        check(PythonGrader(type="python", source=HALF))


def test_nobody_names_the_sandbox_as_a_grader() -> None:
    arn = "arn:aws:lambda:us-west-2:123456789012:function:OutcropSandbox-Sandbox1-A"

    with pytest.raises(APIError, match="is not a grader"):
        check(CustomCodeGrader(type="custom_code", lambda_arn=arn))
