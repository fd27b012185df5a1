"""Before the first step: is what trains what completions are sampled with?

A new adapter changes nothing, and weights that have not learned yet are the base model's, so the question has
no answer until they differ: here they are disturbed for as long as a few tokens take, and put back bit by bit
(unslothai/unsloth#8701, modelscope/ms-swift#8233). Of a model without an adapter, the last layer is.
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
from training_image.trunk import decoder_of

_COMPLETIONS = 4
_TOKENS = 8
_DISTINCT = 3
"""How many times the bound the disturbance has to show in what was sampled."""
_SIZES = [0.02 * 2**power for power in range(10)]


def check_policy_is_sampled(model: Any, sampler: Sampler, prompt: Sequence[int], *, bound: float) -> None:
    """`bound`: the mean difference of a token's log-probability that rounding explains.

    Raises: TrainingError if the sampler does not follow the policy.
    """
    named, learning = _of_what_learns(model)
    samplings = [Sampling(_TOKENS, seed=seed) for seed in range(_COMPLETIONS)]
    made: list[Generated] = []
    own: list[float] = []
    without: list[float] = []
    for size in _SIZES:
        with _disturbed(learning, size):
            made = sampler.sample(model, [prompt] * _COMPLETIONS, samplings)
            own = _logprobs(model, prompt, made)
        without = _logprobs(model, prompt, made)
        if _distance(own, without) > _DISTINCT * bound:
            break  # what says the same with it and without it shows nothing
    told = _told(made)
    if (gap := _distance(own, told)) > bound:
        is_base = _distance(without, told) <= bound
        raise TrainingError(
            f"Completions are not sampled with the {named}: disturbed for a test, "
            f"{type(sampler).__name__} and the trainer differ by {gap:.3f} in the log-probability of a token "
            f"(rounding: at most {bound}), and the sampler's are "
            f"{'those of the model without it' if is_base else 'of neither the one nor the other'}."
        )


def check_is_policy(model: Any, prompt: Sequence[int], made: Generated, *, bound: float) -> None:
    """Raises: TrainingError if a free completion at temperature 1 is not the model's own."""
    gap = _distance(_logprobs(model, prompt, [made]), _told([made]))
    if gap > bound:
        raise TrainingError(
            "Completions are not sampled from the policy in training: the log-probability of a token differs "
            f"by {gap:.3f} on average (rounding: at most {bound}). Was what trains used?"
        )


def _told(made: Sequence[Generated]) -> list[float]:
    """What the sampler says of all tokens of the completions."""
    return [logprob for one in made for logprob in (*one.logprobs, *([one.stop[1]] if one.stop else []))]


def _of_what_learns(model: Any) -> tuple[str, list[Tensor]]:
    """What is disturbed: one layer is enough to tell, and all weights would not fit a second time."""
    adapter = [one for name, one in model.named_parameters() if ".lora_" in name and one.requires_grad]
    if adapter:
        return "adapter that trains", adapter
    return "weights that train", [*decoder_of(model).layers[-1].parameters()]


@contextmanager
def _disturbed(learning: Sequence[Tensor], size: float) -> Iterator[None]:
    """With noise of this size."""
    kept = [one.detach().clone() for one in learning]
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(one.shape, generator=generator).to(one) for one in learning]
    try:
        _write(learning, [one + size * extra for one, extra in zip(kept, noise, strict=True)])
        yield
    finally:
        _write(learning, kept)


@torch.no_grad()
def _write(learning: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for one, value in zip(learning, values, strict=True):
        one.copy_(value)


@torch.no_grad()
def _logprobs(model: Any, prompt: Sequence[int], made: Sequence[Generated]) -> list[float]:
    """The model's own, of all tokens of the completions."""
    was_training = model.training
    model.eval()
    drawn = [[*one.token_ids, *([one.stop[0]] if one.stop else [])] for one in made]
    longest = max(map(len, drawn))
    # What is added at the end of a row is not seen by what comes before it.
    rows = [[*prompt, *ids, *[0] * (longest - len(ids))] for ids in drawn]
    logits = model(input_ids=torch.tensor(rows, device=model.device), logits_to_keep=longest + 1).logits
    own = logits[:, :-1].float().log_softmax(-1).cpu()
    model.train(was_training)
    return [
        value for row, ids in zip(own, drawn, strict=True) for value in row[range(len(ids)), ids].tolist()
    ]


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(first - second) for first, second in zip(one, other, strict=True)) / len(one)
