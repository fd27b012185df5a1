"""Whatever a grader does, every completion ends with exactly one of reward and error, in its place."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.graders.dispatch import Dispatcher, Round
from outcrop.graders.reward import GradedCompletion, Grades, GradingError, Outcome, Reward, Score

FAULTS = (
    "none",
    "error",
    "raises",
    "exits",
    "too few",
    "too many",
    "nothing",
    "nan",
    "text",
    "late",
    "stuck",
)


@dataclass
class Faulty:
    """Grades "n fault" by n, unless the first of its batch has a fault. Stuck is so until `unstuck`."""

    batch_limit: int = 1
    seen: list[str] = field(default_factory=list)
    unstuck: threading.Event = field(default_factory=threading.Event)

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        self.seen += [one.text for one in completions]
        outcomes: list[Any] = [Score(float(one.text.split(maxsplit=1)[0])) for one in completions]
        match completions[0].text.split(maxsplit=1)[1]:
            case "error":
                raise GradingError("grader_throttled", "too busy")
            case "raises":
                raise RuntimeError("no such file")
            case "exits":
                raise SystemExit(1)
            case "too few":
                outcomes.pop()
            case "too many":
                outcomes.append(outcomes[0])
            case "nothing":
                outcomes[0] = None
            case "nan":
                outcomes[0] = Score(float("nan"))
            case "text":
                outcomes[0] = Score("1.0")  # pyright: ignore[reportArgumentType]
            case "late":
                self.unstuck.wait(0.002)
            case "stuck":
                self.unstuck.wait(10)
        return outcomes

    def close(self) -> None:
        self.unstuck.set()


@contextmanager
def dispatching(grader: Faulty, concurrency: int, patience_seconds: float = 0.02) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(grader, concurrency=concurrency, patience_seconds=patience_seconds)
    try:
        yield dispatcher
    finally:
        dispatcher.close()


def completion(text: str) -> GradedCompletion:
    return GradedCompletion({"n": 1}, text)


def has_one_of_both(reward: Reward) -> bool:
    return (reward.reward is None) == (reward.error is not None) == (reward.message is not None)


texts = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(FAULTS)).map(lambda it: f"{it[0]} {it[1]}"))


@settings(max_examples=150, deadline=None)
@given(texts, texts, st.integers(1, 4), st.integers(0, 5), st.booleans())
def test_every_completion_ends_with_a_reward_or_an_error_in_its_own_place(
    early: list[str], asked: list[str], concurrency: int, batch_limit: int, is_closed: bool
) -> None:
    grader = Faulty(batch_limit)

    with dispatching(grader, concurrency) as dispatcher:
        round = Round(dispatcher)
        for text in early:
            round.submit([completion(text)])
        if is_closed:
            dispatcher.close()
        rewards = round.grade([completion(text) for text in asked])

    assert len(rewards) == len(asked)
    assert all(has_one_of_both(reward) for reward in rewards)
    for text, reward in zip(asked, rewards, strict=True):
        assert reward.reward in (None, float(text.split()[0]))
    assert len(grader.seen) == len(set(grader.seen))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(("none", "late"))), st.integers(1, 8), st.integers(1, 8))
def test_without_faults_all_have_their_rewards_in_order(
    kinds: list[str], concurrency: int, batch_limit: int
) -> None:
    asked = [completion(f"{n} {kind}") for n, kind in enumerate(kinds)]

    with dispatching(Faulty(batch_limit), concurrency, patience_seconds=10) as dispatcher:
        rewards = Round(dispatcher).grade(asked)

    assert [reward.reward for reward in rewards] == [float(n) for n in range(len(kinds))]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("error", "grader_throttled", "too busy"),
        ("raises", "other_error", "RuntimeError: no such file"),
        ("exits", "other_error", "SystemExit: 1"),
        ("too few", "missing_reward", "The grader gave 0 outcomes for 1 completions."),
        ("too many", "missing_reward", "The grader gave 2 outcomes for 1 completions."),
        ("nothing", "missing_reward", "The grader gave NoneType."),
        ("nan", "invalid_reward", "The reward has to be a number within ±1e+09."),
        ("text", "invalid_reward", "The reward has to be a number, not str: '1.0'."),
        ("stuck", "grader_timeout", "The grader did not answer within 0.5 s."),
    ],
)
def test_each_fault_has_its_own_words(fault: str, kind: str, message: str) -> None:
    with dispatching(Faulty(), 1, patience_seconds=0.5) as dispatcher:
        [reward] = Round(dispatcher).grade([completion(f"1 {fault}")])

    assert (reward.reward, reward.error, reward.message) == (None, kind, message)


def test_a_grader_that_gets_stuck_on_every_call_is_not_called_more_often_at_a_time() -> None:
    grader = Faulty()

    with dispatching(grader, 3) as dispatcher:
        rewards = Round(dispatcher).grade([completion(f"{n} stuck") for n in range(50)])

    assert {reward.error for reward in rewards} == {"grader_timeout"}
    assert rewards[0].message == "The grader did not answer within 0.02 s."
    assert (rewards[-1].message or "").startswith("The grader has not answered any of 3 calls within 0.02 s")
    assert len(grader.seen) == 3


def test_a_grader_that_hangs_is_waited_for_once_and_not_once_for_every_completion() -> None:
    """Its calls end in time-outs of their own, long before patience does."""
    started = threading.Barrier(16)

    class Hanging(Faulty):
        def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
            self.seen += [one.text for one in completions]
            if len(self.seen) <= 16:
                started.wait()
                raise GradingError("grader_timeout", "The function did not answer within 70 s.")
            if not self.unstuck.is_set():
                self.unstuck.wait(10)
            return [Score(1.0)]

    grader = Hanging()
    with dispatching(grader, 16, patience_seconds=10) as dispatcher:
        began = time.monotonic()
        rewards = Round(dispatcher).grade([completion(str(n)) for n in range(200)])
        waited = time.monotonic() - began
        called = len(grader.seen)
        grader.unstuck.set()
        [again] = Round(dispatcher).grade([completion("again")])

    assert {reward.error for reward in rewards} == {"grader_timeout"}
    assert rewards[-1].message == (
        "The function did not answer within 70 s. So ended 16 calls in a row: no other is waited for."
    )
    assert called < 2 * 16
    assert waited < 5
    assert again.reward == 1.0


def test_time_outs_among_answers_do_not_end_grading() -> None:
    class Slow(Faulty):
        def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
            if int(completions[0].text) % 10:
                raise GradingError("grader_timeout", "The function did not answer within 70 s.")
            return [Score(1.0)]

    with dispatching(Slow(), 1, patience_seconds=10) as dispatcher:
        rewards = Round(dispatcher).grade([completion(str(n)) for n in range(100)])

    assert sum(reward.reward == 1.0 for reward in rewards) == 10


def test_a_grader_that_comes_back_is_called_again() -> None:
    grader = Faulty()

    with dispatching(grader, 1) as dispatcher:
        stuck = Round(dispatcher)
        [late] = stuck.grade([completion("1 stuck")])
        grader.unstuck.set()
        while Round(dispatcher).grade([completion("2 none")])[0].error:
            time.sleep(0.001)
        [late_still] = stuck.grade([completion("1 stuck")])

    assert late.error == "grader_timeout"
    assert late_still == late


def test_what_arrives_while_calls_are_free_is_not_held_back_and_a_crowd_is_shared_out() -> None:
    sizes: list[int] = []

    class Recording(Faulty):
        def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
            sizes.append(len(completions))
            return super().grade(completions)

    grader: Grades = Recording(batch_limit=64)
    with dispatching(grader, 4, patience_seconds=10) as dispatcher:
        for n in range(3):
            Round(dispatcher).grade([completion(f"{n} none")])
        Round(dispatcher).grade([completion(f"{n} none") for n in range(40)])

    assert sizes[:3] == [1, 1, 1]
    assert max(sizes) == 10
