"""Before the first step: is the adapter that trains the one that completions are sampled with?

A new adapter changes nothing, so the question has no answer until it does: here it is disturbed for as long
as a few tokens take, and put back bit by bit (unslothai/unsloth#8701, modelscope/ms-swift#8233).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from training_image.generate import Generated
from training_image.sampling import Sampling
from training_image.trainer.errors import TrainingError
from training_image.trainer.sampler import Sampler

_COMPLETIONS = 4
_SAMPLING = Sampling(max_tokens=8, temperature=1.0)
_DISTINCT = 3
"""How many times the bound the disturbance has to show."""


def check_adapter_is_sampled(model: Any, sampler: Sampler, prompt: Sequence[int], *, bound: float) -> None:
    """`bound`: the mean difference of a token's log-probability that rounding explains.

    Raises: TrainingError if the sampler does not follow the adapter.
    """
    adapter = [one for name, one in model.named_parameters() if ".lora_" in name and one.requires_grad]
    if not adapter:
        return
    samplings = [
        Sampling(_SAMPLING.max_tokens, _SAMPLING.temperature, seed=seed) for seed in range(_COMPLETIONS)
    ]
    with disturbed(model, adapter, prompt, by=_DISTINCT * bound):
        made = sampler.sample(model, [prompt] * _COMPLETIONS, samplings)
        gap = _gap(model, prompt, made)
    if gap > bound:
        without = _gap(model, prompt, made)
        which = (
            "those of the model without it" if without <= bound else "neither its own nor the base model's"
        )
        raise TrainingError(
            f"Completions are not sampled with the adapter that trains: with a test adapter, "
            f"{type(sampler).__name__} and the trainer differ by {gap:.3f} in the log-probability of a token "
            f"(rounding: at most {bound}), and the sampler's are {which}."
        )


@contextmanager
def disturbed(model: Any, adapter: Sequence[Tensor], prompt: Sequence[int], *, by: float) -> Iterator[None]:
    """The adapter with noise: as much as moves the log-probabilities at the prompt's end by `by`."""
    kept = [one.detach().clone() for one in adapter]
    before = _next_token(model, prompt)
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(one.shape, generator=generator).to(one) for one in adapter]
    size = 0.01
    try:
        while True:
            _write(adapter, [one + size * extra for one, extra in zip(kept, noise, strict=True)])
            moved = (_next_token(model, prompt) - before)[before > before.max() - 5].abs().mean().item()
            if moved > by or size > 10:
                break
            size *= 2
        yield
    finally:
        _write(adapter, kept)


@torch.no_grad()
def _write(adapter: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for one, value in zip(adapter, values, strict=True):
        one.copy_(value)


@torch.no_grad()
def _next_token(model: Any, prompt: Sequence[int]) -> Tensor:
    return _logprobs(model, prompt)[-1]


def _logprobs(model: Any, ids: Sequence[int]) -> Tensor:
    was_training = model.training
    model.eval()
    try:
        return (
            model(input_ids=torch.tensor([list(ids)], device=model.device)).logits[0].float().log_softmax(-1)
        )
    finally:
        model.train(was_training)


@torch.no_grad()
def _gap(model: Any, prompt: Sequence[int], made: Sequence[Generated]) -> float:
    """Mean difference between the sampler's and the model's log-probability of a token."""
    gaps: list[float] = []
    for one in made:
        ids = [*one.token_ids, *([one.stop[0]] if one.stop else [])]
        told = [*one.logprobs, *([one.stop[1]] if one.stop else [])]
        own = _logprobs(model, [*prompt, *ids])[len(prompt) - 1 : -1]
        gaps += (own[torch.arange(len(ids)), ids].cpu() - torch.tensor(told)).abs().tolist()
    return sum(gaps) / len(gaps)
