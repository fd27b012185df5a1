"""Portions of prompts that are sampled together."""

from training_image.sampling import Sampling
from training_image.trainer.sampler import portions


def test_prompts_are_sampled_together_as_far_as_their_caches_fit() -> None:
    long, short = [0] * 40_000, [0] * 10

    ends = portions([short, long, long, short], [Sampling(max_tokens=20)] * 4)

    assert ends == [2, 4]


def test_a_prompt_longer_than_a_portion_is_sampled_alone() -> None:
    assert portions([[0] * 100_000] * 2, [Sampling(max_tokens=1)] * 2) == [1, 2]
