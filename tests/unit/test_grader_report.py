"""What `outcrop graders test` makes of what it measured, and the words for it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outcrop import base_models
from outcrop.cli import grader_words
from outcrop.cli.grader_figures import Report
from outcrop.cli.grader_report import histogram, report
from outcrop.cli.grader_trial import Completion, Grade, Trial
from outcrop.graders.reward import TokenUsage

TINY = base_models.find("tiny-caps")


def a_grade(reward: float | None, row: int = 0, **fields: Any) -> Grade:
    failure = {"error": "grader_timeout", "message": "It took too long."} if reward is None else {}
    return Grade(row, "text", reward, **failure, **fields)


def a_trial(
    rewards: Sequence[float | None],
    *,
    references: Sequence[float] = (),
    rows_in_file: int = 60,
    **probes: Any,
) -> Trial:
    """Of one completion a row. A probe's name has `_` for what else is in it."""
    names = {"another_answer": "another row's answer", "very_long": "very long"}
    return Trial(
        model="tiny-caps",
        grader={"type": "string_check", "name": "exact"},
        rows_in_file=60,
        reference_column="answer",
        max_completion_tokens=20,
        completions=[Completion(row, "text", 0.5, tokens=10) for row in range(len(rewards))],
        grades=[a_grade(reward, row, seconds=0.1) for row, reward in enumerate(rewards)],
        references=[a_grade(reward) for reward in references],
        probes={names.get(name, name): [a_grade(one) for one in made] for name, made in probes.items()},
    )


def verdict(found: Report, name: str) -> str:
    return next(probe.verdict for probe in found.probes if probe.name == name)


def words(trial: Trial) -> str:
    return "\n".join(grader_words.findings(report(trial, TINY, {})))


@example([1.1161912231800966e-260] * 3)  # their mean, computed, is above all of them
@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_every_reward_is_in_one_part_of_the_histogram(rewards: list[float]) -> None:
    found = report(a_trial(rewards), TINY, {}).rewards

    assert found is not None
    assert sum(part.count for part in found.histogram) == found.graded == len(rewards)
    assert found.histogram[0].start <= found.lowest <= found.mean <= found.highest <= found.top
    assert 0 <= found.share_of_zero + found.share_of_top <= 1


def test_a_part_of_the_histogram_begins_with_its_lower_bound() -> None:
    counts = [part.count for part in histogram([0.0, 0.1, 0.3, 0.7, 0.95, 1.0], 1.0)]

    assert counts == [1, 1, 0, 1, 0, 0, 0, 1, 0, 2]


@pytest.mark.parametrize(
    ("completions", "empty", "expected"),
    [
        ([0.2, 0.4], [0.36, 0.36], "pays"),  # the mean of the completions is 0.3
        ([0.2, 0.4], [0.34, 0.34], "pays"),  # as much as they earn, for no answer
        ([0.2, 0.4], [0.24, 0.24], "pays in part"),
        ([0.2, 0.4], [0.1, 0.1], "earns nothing"),
        ([0.0, 0.0], [0.05, 0.05], "earns nothing"),
        ([0.0, 0.0], [0.06, 0.06], "pays"),
        ([1.0, 1.0], [1.0, 1.0], "pays"),
        ([-1.0, -1.0], [-1.0, -1.0], "earns nothing"),
        ([0.0, 10.0], [5.4, 5.4], "pays"),
        ([0.0, 10.0], [0.4, 0.4], "earns nothing"),  # a margin of 0.05 is one of the top
        ([0.2, 0.4], [None, None], "cannot be graded"),
        ([0.2, 0.4], [None, 0.9], "pays"),
        ([0.2, 0.4], [], "no such text"),
    ],
)
def test_what_a_text_that_answers_nothing_may_earn(
    completions: list[float], empty: list[float | None], expected: str
) -> None:
    assert verdict(report(a_trial(completions, empty=empty), TINY, {}), "empty") == expected


@pytest.mark.parametrize(
    ("completions", "references", "other", "expected"),
    [
        ([0.0, 0.1], [], [0.3, 0.3], "pays"),
        ([0.0, 0.1], [1.0], [0.3, 0.3], "pays in part"),
        ([0.0, 0.1], [1.0], [0.5, 0.5], "pays"),
        ([0.3, 0.3], [1.0], [0.3, 0.3], "earns nothing"),
        ([1.0, 1.0], [1.0], [0.95, 0.95], "pays"),
        ([1.0, 1.0], [1.0], [0.5, 0.5], "earns nothing"),
    ],
)
def test_a_wrong_answer_may_earn_something_for_its_form(
    completions: list[float], references: list[float], other: list[float], expected: str
) -> None:
    found = report(a_trial(completions, references=references, another_answer=other), TINY, {})

    assert verdict(found, "another row's answer") == expected
    assert found.exit_status == (1 if expected == "pays" else 0)


@pytest.mark.parametrize(
    ("rewards", "status"),
    [([0.0, 1.0], 0), ([None, 1.0], 0), ([None, None, 1.0], 1), ([None, None], 1), ([], 1)],
)
def test_a_grader_that_fails_on_more_than_half_does_not_pass(
    rewards: list[float | None], status: int
) -> None:
    assert report(a_trial(rewards), TINY, {}).exit_status == status


def test_a_failure_is_no_reward() -> None:
    found = report(a_trial([None, 1.0, 0.5]), TINY, {})

    assert found.rewards and found.rewards.mean == 0.75
    assert [(one.kind, one.count, one.message) for one in found.grading.failures] == [
        ("grader_timeout", 1, "It took too long.")
    ]
    assert "The grader failed on 1 of 3 completions. A failure is no reward" in words(a_trial([None, 1, 0.5]))


@pytest.mark.parametrize(
    ("rewards", "sentence"),
    [
        ([0.0, 0.0], "none of the 2 completions earned more than 0: nothing to reinforce. Fine-tune with"),
        ([-1.0, 0.0], "none of the 2 completions earned more than 0"),
        ([1.0, 0.95], "is 0.975, 98% of 1: above 95 % reinforcement may be unnecessary"),
        ([9.0, 10.0], "is 9.500, 95% of 10: above 95 % reinforcement may be unnecessary"),
        ([0.5, 0.5], "the same for all 2 completions"),
        ([0.0, 0.1], "is 0.050, 5% of 1: there is room to learn. (At 0 % throughout"),
    ],
)
def test_the_rule_of_0_and_95_percent_is_put_in_words(rewards: list[float], sentence: str) -> None:
    assert sentence in words(a_trial(rewards))


def test_a_run_costs_what_its_default_hyperparameters_ask_for() -> None:
    trial = a_trial([1.0, 0.0, None])
    judged = [
        Grade(one.row, one.text, one.reward, one.error, seconds=0.32, tokens={"judge": TokenUsage(300, 30)})
        for one in trial.grades
    ]

    found = report(
        Trial(**{**vars(trial), "grades": judged}), TINY, {"judge": (0.5, 2.0), "another": (1.0, 1.0)}
    )

    assert found.cost is not None
    assert (found.cost.steps, found.cost.completions) == (24, 24 * 8 * 8)  # 8 prompts of 8 completions
    assert found.cost.completion_tokens == 1536 * 10
    assert found.cost.grader_seconds == pytest.approx(1536 * 0.32 / 64)
    assert found.cost.judge_tokens == {"judge": TokenUsage(1536 * 300, 1536 * 30)}
    assert found.cost.dollars == {"judge": pytest.approx(0.5 * 0.4608 + 2.0 * 0.04608)}
    assert grader_words.cost(found)[-1].startswith(
        "judge judge: about 460,800 tokens read and 46,080 written"
    )


def test_a_model_that_is_not_trained_here_has_no_cost() -> None:
    assert report(a_trial([1.0]), None, {}).cost is None


def test_times_are_the_median_and_what_95_percent_do_not_exceed() -> None:
    grades = [a_grade(1.0, row, seconds=row + 1.0) for row in range(20)]

    found = report(Trial(**{**vars(a_trial([])), "grades": grades}), TINY, {}).grading.latency_seconds

    assert found and (found.median, found.p95) == (10.5, 19.0)
    assert "A call of the grader takes up to 19.0 s" in words(
        Trial(**{**vars(a_trial([])), "grades": grades})
    )
