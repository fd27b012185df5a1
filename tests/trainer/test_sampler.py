"""How many prompts are sampled together, and what becomes of them when memory is not enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from training_image.generate import Generated, generate
from training_image.sampling import Sampling
from training_image.trainer import sampler
from training_image.trainer.errors import explain
from training_image.trainer.sampler import LoopSampler, portion

PROMPTS = [[5, 6, 7], [5, 6, 8, 9], [10], [5, 6, 7], [11, 12], [13]]
SAMPLINGS = [Sampling(length, seed=seed) for seed, length in enumerate([9, 2, 9, 3, 9, 9])]


def test_prompts_are_sampled_together_as_far_as_their_caches_fit() -> None:
    assert portion([30, 40_020, 40_020, 30], limit=65_536) == 2
    assert portion([30, 30], limit=65_536) == 2


def test_a_prompt_longer_than_a_portion_is_sampled_alone() -> None:
    assert portion([100_001] * 2, limit=65_536) == 1


@pytest.fixture
def model(tiny_caps: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_caps)


def memory_for(rows: int, asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of more rows than that fails to grow at the fifth token."""

    def limited(model: Any, prompts: Sequence[Any], *arguments: Any, **more: Any) -> list[Generated]:
        asked.append(len(prompts))
        steps = iter(range(1, 100))

        def on_step(new: Sequence[Any]) -> list[bool]:
            if len(prompts) > rows and next(steps) == 5:
                raise MemoryError
            return [True] * len(new)

        return generate(model, prompts, *arguments, on_step=on_step, **more)

    monkeypatch.setattr(sampler, "generate", limited)


def test_what_did_not_fit_into_memory_is_sampled_in_halves_from_then_on_and_says_the_same(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = LoopSampler([]).sample(model, PROMPTS, SAMPLINGS)
    asked: list[int] = []
    told: list[str] = []
    ended: list[int] = []
    memory_for(4, asked, monkeypatch)
    small = LoopSampler([], tell=told.append)

    made = small.sample(model, PROMPTS, SAMPLINGS, on_end=lambda place, _: ended.append(place))
    again = small.sample(model, PROMPTS, SAMPLINGS)

    assert [one.token_ids for one in made] == [one.token_ids for one in expected]
    assert [one.token_ids for one in again] == [one.token_ids for one in expected]
    assert asked[0] == 6 and max(asked[1:]) <= 3
    assert sum(asked[1:]) == 4 + 6  # two had ended before memory ran out
    assert ended[:2] == [1, 3] and sorted(ended) == [0, 1, 2, 3, 4, 5]
    assert len(told) == 1 and told[0].startswith("The machine ran out of memory with 6 completions")


def test_a_half_that_does_not_fit_either_ends_the_sampling_and_names_the_settings(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    memory_for(1, asked, monkeypatch)

    with pytest.raises(MemoryError) as caught:
        LoopSampler([], tell=lambda _: None).sample(model, PROMPTS, SAMPLINGS)

    assert len(asked) == 2
    assert "Lower batch_size, num_generations" in explain(caught.value)
