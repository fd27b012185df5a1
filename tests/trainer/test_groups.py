"""What a step's groups say of it."""

import math

import pytest

from training_image.generate import Generated
from training_image.trainer.groups import Group, figures


def group(*logprobs: list[float]) -> Group:
    made = [Generated([5] * len(own), own, "length") for own in logprobs]
    return Group(0, [1, 2], made, [1.0] * len(made))


def test_the_drawn_tokens_say_how_unsure_the_policy_was() -> None:
    assert figures([group([-1.0, -3.0], [-2.0])], kept=1)["sampled_entropy"] == pytest.approx(2.0)


def test_tokens_whose_log_probability_the_sampler_does_not_tell_say_nothing() -> None:
    assert figures([group([-1.0], [math.nan])], kept=1)["sampled_entropy"] == pytest.approx(1.0)
    assert "sampled_entropy" not in figures([group([math.nan], [math.nan])], kept=1)
    assert "sampled_entropy" not in figures([group([], [])], kept=1)
