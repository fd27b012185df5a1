"""Who writes completions: our own loop, in the process and on the weights that train, or vLLM beside it."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from training_image.generate import Generated, OnEnd, generate
from training_image.sampling import Sampling
from training_image.trainer.merging import merged
from training_image.trunk import trunk_layers

_TOKENS_AT_ONCE = 65_536


class Sampler(Protocol):
    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        """A completion of each prompt by `model` as it is now, its adapter included. `on_end` is told each
        one's place and what it is as soon as it has ended, in this thread.
        """
        ...


class LoopSampler:
    """`generate`, a portion of the prompts at a time where all would not fit into memory."""

    def __init__(self, stop_token_ids: Collection[int]) -> None:
        self._stop = frozenset(stop_token_ids)

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        made: list[Generated] = []
        with merged(model):
            for end in portions(prompts, samplings):
                start = len(made)
                made += generate(
                    model,
                    prompts[start:end],
                    samplings[start:end],
                    stop_token_ids=self._stop,
                    on_end=_moved(on_end, start) if on_end else None,
                    trunk=trunk_layers(model) or None,
                )
        return made


def portions(prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]) -> list[int]:
    """Where portions end whose caches hold about as many tokens as are kept at once; one prompt at least."""
    ends, filled = [], 0
    for place, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
        tokens = len(prompt) + sampling.max_tokens
        if filled and filled + tokens > _TOKENS_AT_ONCE:
            ends.append(place)
            filled = 0
        filled += tokens
    return [*ends, len(prompts)] if prompts else []


def _moved(on_end: OnEnd, start: int) -> OnEnd:
    return lambda place, one: on_end(start + place, one)
