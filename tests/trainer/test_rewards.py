"""A completion that cannot be graded gets no reward and is counted; too many of them stop the run."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion, Reward, TokenUsage
from outcrop.types.grader import MultiGrader
from training_image.trainer.errors import GraderFailing, explain
from training_image.trainer.failing import Failing
from training_image.trainer.history import History
from training_image.trainer.rewards import (
    Graded,
    Rewards,
    failures,
    judges_tokens,
    mean_metrics,
    mean_reward,
)

ROWS = [{"messages": [], "reference_answer": "a"}]


class Grader:
    """Gives 1 for "good", 0 for "bad", and fails on anything else."""

    def round(self) -> "Grader":
        return self

    def submit(self, completions: Sequence[GradedCompletion]) -> None:
        raise AssertionError("nothing is submitted here before all of it is there")

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        return [self._one(completion.text) for completion in completions]

    def _one(self, text: str) -> Reward:
        if text in ("good", "bad"):
            return Reward(float(text == "good"), None, None, {}, 0.0)
        kind = "grader_timeout" if text == "..." else "grader_exception"
        return Reward(None, kind, "KeyError: 'answer'", {}, 0.0)


def plain(text: str, may_call: bool) -> tuple[str, list[dict[str, Any]]]:
    return text, []


def a_grader(*, failure_limit: float = 0.5) -> Rewards:
    return Rewards(Grader(), ROWS, read=plain, failure_limit=failure_limit)


def given(texts: Sequence[str], rewards: Rewards) -> list[float | None]:
    rewards.begin_step()
    return rewards.rewards(rewards.round([{"prompt": [], "index": 0}] * len(texts)), texts)


def test_a_failed_grade_is_none_and_not_zero() -> None:
    assert given(["good", "?", "bad"], a_grader()) == [1.0, None, 0.0]


def test_failures_are_counted_by_cause_and_left_out_of_the_mean() -> None:
    rewards = a_grader()

    given(["good", "?", "good", "good", "..."], rewards)

    assert failures(rewards.latest) == {"grader_exception": 1, "grader_timeout": 1}
    assert mean_reward(rewards.latest) == 1.0


@pytest.mark.parametrize("limit", [0.5, 1.0])
def test_a_first_step_without_any_reward_fails_with_the_graders_words(limit: float) -> None:
    with pytest.raises(GraderFailing, match=r"every completion of a step .*exception 2.*KeyError: 'answer'"):
        given(["?", "?"], a_grader(failure_limit=limit))


def test_a_later_step_without_any_reward_may_be_lived_with_if_asked_for() -> None:
    rewards = a_grader(failure_limit=1.0)
    given(["good", "?"], rewards)

    assert given(["?", "..."], rewards) == [None, None]
    assert mean_reward(rewards.latest) is None


def test_a_step_with_mostly_failures_fails_with_the_first_and_all_causes() -> None:
    message = r"67% of the completions of a step \(grader_exception 3, grader_timeout 1\)\. First failure, "

    with pytest.raises(GraderFailing, match=f"{message}grader_timeout: KeyError"):
        given(["...", "good", "?", "?", "?", "bad"], a_grader())


def test_a_long_traceback_keeps_its_first_lines_and_its_last_in_the_failure_reason() -> None:
    frames = "".join(f'\n  File "/var/task/grader.py", line {n}, in score' for n in range(200))
    error = GraderFailing(
        f"The grader failed on every completion of a step. Traceback:{frames}\nKeyError: 'x'"
    )

    told = explain(error)

    assert len(told) <= 994  # what SageMaker's own words leave of 1024
    assert told.startswith("grader_failing: The grader failed on every completion of a step. Traceback:\n")
    assert told.endswith("line 199, in score\nKeyError: 'x'")


def test_a_steps_failures_are_those_of_all_its_rounds() -> None:
    rewards = a_grader()
    given(["good"] * 3, rewards)

    fresh = ["?", "bad", "?"]
    again = rewards.rewards(rewards.round([{"prompt": [], "index": 0}] * 3), fresh)

    assert again == [None, 0.0, None]  # most of the round, but not of the step
    assert len(rewards.latest) == 6


def test_half_of_a_step_is_not_most_of_it() -> None:
    assert given(["?", "good"], a_grader()) == [None, 1.0]


def test_one_failure_is_too_many_if_that_is_asked_for() -> None:
    with pytest.raises(GraderFailing, match="5% of the completions"):
        given(["?"] + ["good"] * 19, a_grader(failure_limit=0.0))


def test_a_failing_grader_is_news_once_again_when_it_got_worse_and_when_it_is_over() -> None:
    failing = Failing()
    steps = [0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 6, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]  # failures of ten
    news: dict[int, str] = {}

    for step, count in enumerate(steps):
        failing.add(10, {"grader_timeout": count} if count else {}, window=10)
        if said := failing.news(0.1):
            news[step] = f"{said} {failing.share:.2f}"

    assert news == {3: "failing 0.12", 8: "worse 0.28", 21: "over 0.01"}


def test_what_was_told_of_a_failing_grader_is_kept_with_a_checkpoint() -> None:
    rewards, history = a_grader(), History()
    given(["good", "?", "..."] * 2 + ["good"] * 4, rewards)
    history.failing.add(10, failures(rewards.latest), window=10)
    assert history.failing.news(0.1) == "failing"

    restored = History.from_json(json.loads(json.dumps(history.to_json())))

    assert restored == history
    assert restored.failing.news(0.1) is None
    assert restored.failing.told_causes() == "grader_exception 2, grader_timeout 2"


def test_the_parts_of_a_multi_grader_are_told_beside_its_reward() -> None:
    part = {"type": "string_check", "input": "{{sample.output_text}}", "operation": "like"}
    parts = {
        "right": {**part, "reference": "{{item.reference_answer}}"},
        "polite": {**part, "reference": "!"},
    }
    grader = MultiGrader.model_validate(
        {"type": "multi", "graders": parts, "calculate_output": "right / polite"}
    )
    rewards = Rewards(GraderPipeline(grader), ROWS, read=plain, failure_limit=0.5)

    assert given(["a!", "b!", "a", "c!"], rewards) == [1.0, 0.0, None, 0.0]
    assert mean_metrics(rewards.latest) == pytest.approx({"right": 1 / 3, "polite": 1.0})
    assert rewards.latest[2].reward.metrics == {"right": 1.0, "polite": 0.0}


def test_a_grader_that_names_another_metric_for_every_completion_fills_no_event() -> None:
    rewards = [Reward(1.0, None, None, {f"of {n}": 1.0, "x" * 101: 2.0}, 0.0) for n in range(1000)]

    told = mean_metrics([Graded(0, [], "good", one) for one in rewards])

    assert [*told] == [f"of {n}" for n in range(50)]


def test_judges_tokens_are_counted_once_for_equal_completions_and_for_failures_too() -> None:
    shared = Reward(1.0, None, None, {}, 0.0, {"a": TokenUsage(10, 2, 4), "b": TokenUsage(1, 1)})
    failed = Reward(None, "model_grader_parse_error", "?", {}, 0.0, {"a": TokenUsage(5, 3)})
    train = [Graded(0, [], "x", one) for one in (shared, shared, failed)]

    usage = judges_tokens(train=train, evaluated=[Graded(0, [], "x", failed)])

    assert usage == {
        "a": {
            "train_prompt_tokens": 15,
            "train_completion_tokens": 5,
            "train_cached_tokens": 4,
            "eval_prompt_tokens": 5,
            "eval_completion_tokens": 3,
            "eval_cached_tokens": 0,
        },
        "b": {"train_prompt_tokens": 1, "train_completion_tokens": 1, "train_cached_tokens": 0},
    }
