"""Who writes completions: our own loop, in the process and on the weights that train, or vLLM beside it."""

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from typing import Any, Protocol

from accelerate.utils.memory import clear_device_cache

from training_image.generate import Generated, OnEnd, generate
from training_image.sampling import Sampling
from training_image.trainer.errors import is_out_of_memory
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
    """`generate`, a portion of the prompts at a time where all would not fit into memory. The first time that
    a portion does not, what is missing of it is sampled in halves, and so is all that follows.
    """

    def __init__(self, stop_token_ids: Collection[int], *, tell: Callable[[str], object] = print) -> None:
        """`tell` is told in words that memory was not enough."""
        self._stop = frozenset(stop_token_ids)
        self._tell = tell
        self._tokens_at_once = _TOKENS_AT_ONCE

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        made: dict[int, Generated] = {}

        def end(place: int, one: Generated) -> None:
            made[place] = one
            if on_end:
                on_end(place, one)

        needs = [len(prompt) + one.max_tokens for prompt, one in zip(prompts, samplings, strict=True)]
        with merged(model):
            while missing := [place for place in range(len(prompts)) if place not in made]:
                asked = missing[: portion([needs[place] for place in missing], self._tokens_at_once)]
                try:
                    whole = generate(
                        model,
                        [prompts[place] for place in asked],
                        [samplings[place] for place in asked],
                        stop_token_ids=self._stop,
                        on_end=_of(asked, end),
                        trunk=trunk_layers(model) or None,
                    )
                    made |= zip(asked, whole, strict=True)
                    continue
                except Exception as error:
                    is_first = self._tokens_at_once == _TOKENS_AT_ONCE
                    if not (is_first and len(asked) > 1 and is_out_of_memory(error)):
                        raise
                # Not before the error is gone, which holds the cache. What has ended by now stays.
                self._tokens_at_once = sum(needs[place] for place in asked) // 2
                clear_device_cache(garbage_collection=True)
                self._tell(
                    f"The machine ran out of memory with {len(asked)} completions in the making: from here "
                    "on, half as many are sampled at once, which changes nothing but the time. If that is "
                    "still too much, the job fails."
                )
        return [made[place] for place in range(len(prompts))]


def portion(needs: Sequence[int], limit: int) -> int:
    """How many of the first prompts, one at least, are sampled at once, so that their caches hold no more
    tokens than `limit`. `needs`: of each, with its completion."""
    return max(1, sum(total <= limit for total in accumulate(needs)))


def _of(places: Sequence[int], on_end: OnEnd) -> OnEnd:
    return lambda at, one: on_end(places[at], one)
