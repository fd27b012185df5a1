"""What a validation file proves: intervals, classes, and the base model against the tuned one."""

import random
from statistics import fmean

import pytest

from training_image.trainer.comparison import Estimate, by_class, classes, compare, estimate, exceeds_noise


def rewards(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def the(found: Estimate | None) -> Estimate:
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [  # Wilson's 95 % interval, as R's `prop.test(right, of, correct = FALSE)` gives it
        (48, 48, 0.926, 1.000),
        (0, 48, 0.000, 0.074),
        (5, 10, 0.237, 0.763),
    ],
)
def test_all_or_nothing_rewards_have_wilsons_interval(right: int, of: int, low: float, high: float) -> None:
    found = the(estimate(rewards(*[1.0] * right, *[0.0] * (of - right))))

    assert (found.mean, found.rows) == (right / of, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_the_interval_of_other_rewards_holds_the_true_mean_nearly_as_often_as_it_says() -> None:
    draws = random.Random(3)
    true_mean, held = 0.3, 0
    for _ in range(200):
        found = the(estimate(rewards(*[draws.betavariate(3, 7) for _ in range(40)])))
        held += found.low <= true_mean <= found.high

    assert 0.88 <= held / 200 <= 0.99


def test_no_rewards_have_no_mean() -> None:
    assert estimate({}) is None


def test_rows_are_classed_by_their_tag_else_by_answers_that_come_again() -> None:
    answers = ["yes", "no"] * 4

    tagged = classes([{"tag": "easy", "reference_answer": "yes"}, {"tag": 3}, {"reference_answer": "no"}])
    answered = classes([{"reference_answer": answer} for answer in answers])
    unlike = classes([{"reference_answer": str(n)} for n in range(12)])
    named = classes([{"tag": f"row {n}"} for n in range(51)])
    objects = classes([{"reference_answer": {"x": 1}}] * 12)

    assert tagged == {0: "easy", 1: "3"}
    assert answered == dict(enumerate(answers))
    assert (unlike, named, objects) == ({}, {}, {})


def test_what_is_too_long_for_an_event_is_no_class() -> None:
    rows = [{"tag": "x" * 101, "reference_answer": answer} for answer in ("a", "b") * 3]

    assert classes(rows) == dict(enumerate("ababab"))
    assert classes([row | {"reference_answer": row["reference_answer"] * 101} for row in rows]) == {}


def test_a_class_that_was_given_up_shows_behind_a_better_mean() -> None:
    found = by_class(rewards(1, 1, 1, 0, 0), {0: "yes", 1: "yes", 2: "yes", 3: "no", 4: "no", 9: "absent"})

    assert {name: (one.mean, one.rows) for name, one in found.items()} == {"no": (0, 2), "yes": (1, 3)}


def test_a_gain_on_most_rows_is_more_than_chance() -> None:
    found = compare(rewards(*[0] * 8, 1, 1), rewards(*[1] * 9, 0))

    assert found is not None
    assert (found.better, found.worse, found.equal) == (8, 1, 1)
    assert found.chance == pytest.approx(10 / 512)  # 8 or 9 heads of 9
    assert found.is_real
    assert str(found).startswith(
        "base model 0.200 (0.057 to 0.510), tuned model 0.900 (0.596 to 0.982); 8 rows"
    )


@pytest.mark.parametrize("tuned", [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0]])
def test_what_chance_may_do_is_not_called_real(tuned: list[float]) -> None:
    found = compare(rewards(0, 0, 1, 1), rewards(*tuned))

    assert found is not None and not found.is_real
    assert found.tuned.mean == fmean(tuned)
    assert "NOT more than chance" in str(found)


def test_a_model_that_lost_what_its_base_could_is_called_worse() -> None:
    found = compare(rewards(0, 0, 1, 1), rewards(0, 0, 0, 1))

    assert found is not None and not found.is_real
    assert "the tuned model is WORSE than its base, which is the one to use" in str(found)


@pytest.mark.parametrize(
    ("before", "after", "exceeds"),
    [
        ([0.5] * 8, [0.6] * 8, True),
        ([0.0] * 8, [0.0] * 6 + [1.0] * 2, True),
        ([0.0] * 8, [0.0] * 7 + [1.0], False),  # one row of eight: as much as its standard error
        ([0.0] * 4 + [1.0] * 4, [1.0] * 3 + [0.0] + [0.0] * 2 + [1.0] * 2, False),
        ([0.5] * 8, [0.5] * 8, False),
        ([0.5] * 8, [0.4] * 8, False),
        ([0.0], [1.0], True),
        ([1.0], [1.0], False),
    ],
)
def test_a_gain_exceeds_the_noise_if_it_is_larger_than_its_standard_error(
    before: list[float], after: list[float], exceeds: bool
) -> None:
    assert exceeds_noise(rewards(*before), rewards(*after)) == exceeds


def test_only_rows_that_both_have_a_reward_for_are_compared() -> None:
    found = compare({0: 0.0, 1: 0.5, 2: 1.0}, {1: 1.0, 2: 1.0, 3: 0.0})

    assert found is not None
    assert (found.base.rows, found.better, found.equal) == (2, 1, 1)
    assert compare({0: 1.0}, {1: 1.0}) is None
