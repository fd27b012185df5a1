"""Several machines grade with the job's own grader, and a completion without a reward teaches nothing."""

import asyncio
from typing import Any

import pytest

from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import Reward
from outcrop.types.grader import StringCheckGrader
from training_image.trainer.seeds import draw_seed
from training_image.verl.reward import (
    Grading,
    Scored,
    compared,
    is_cut_off,
    learned_from,
    share_without_variance,
)

ROWS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "?"}], "reference_answer": "a"},
    {"messages": [{"role": "user", "content": "!"}]},
]


def plain(text: str, may_call: bool) -> tuple[str, list[dict[str, Any]]]:
    return text, []


def a_pipeline() -> GraderPipeline:
    """Right answers get 1, others 0; row 1 has no `reference_answer`, so the grader fails on it."""
    return GraderPipeline(
        StringCheckGrader(
            type="string_check",
            name="same",
            operation="eq",
            input="{{sample.output_text}}",
            reference="{{item.reference_answer}}",
        )
    )


def scored(reward: float | None, *, cut_off: bool = False, index: int = 0) -> Scored:
    error = None if reward is not None else "grader_timeout"
    return Scored(index, 0, "text", cut_off, Reward(reward, error, None, {}, 0.0))


async def _graded() -> list[Scored]:
    grading = Grading(a_pipeline(), plain, concurrency=4)
    asked = [(0, "a"), (0, "b"), (1, "a"), (0, "a")]
    return await asyncio.gather(
        *(
            grading.grade(ROWS, index, session, text, is_cut_off=False)
            for session, (index, text) in enumerate(asked)
        )
    )


def test_completions_are_graded_side_by_side_and_a_failure_is_no_reward() -> None:
    found = asyncio.run(_graded())

    assert [one.reward.reward for one in found] == [1.0, 0.0, None, 1.0]
    assert found[2].reward.error == "invalid_variable_error"
    assert [one.session for one in found] == [0, 1, 2, 3]


def test_a_reward_travels_between_hosts_as_it_is() -> None:
    for one in asyncio.run(_graded()):
        assert Scored.from_json(one.to_json()) == one


def test_what_has_no_reward_is_not_compared_and_not_learned_from() -> None:
    group = [scored(1.0), scored(None), scored(0.0)]

    assert compared(group, ["g"] * 3) == [True, False, True]
    assert learned_from(group, ["g"] * 3, "grade") == [True, False, True]


def test_a_single_reward_in_a_group_has_nothing_to_be_compared_with() -> None:
    assert learned_from([scored(1.0), scored(None), scored(1.0)], ["a", "a", "b"], "grade") == [False] * 3


def test_what_was_cut_off_is_compared_but_not_learned_from_if_it_is_masked() -> None:
    group = [scored(1.0), scored(0.0, cut_off=True), scored(0.5)]

    assert compared(group, ["g"] * 3) == [True, True, True]
    assert learned_from(group, ["g"] * 3, "mask") == [True, False, True]
    assert learned_from(group, ["g"] * 3, "grade") == [True, True, True]


def test_groups_whose_rewards_are_all_equal_are_counted() -> None:
    steps = [scored(1.0), scored(1.0), scored(0.0), scored(1.0), scored(None), scored(None)]

    assert share_without_variance(steps, ["a", "a", "b", "b", "c", "c"]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("ids", "expected"), [([5, 2], False), ([5, 6, 2], False), ([5, 6, 7], True), ([], False)]
)
def test_a_completion_is_cut_off_if_it_is_full_and_did_not_stop(ids: list[int], expected: bool) -> None:
    assert is_cut_off(ids, 3, {2}) is expected


def test_each_draw_has_a_seed_of_its_own() -> None:
    draws = [(step, row, session) for step in range(3) for row in range(3) for session in range(3)]

    assert len({draw_seed(7, *one) for one in draws}) == 27
    assert draw_seed(7, 1, 2, 0) == draw_seed(7, 1, 2, 0)
