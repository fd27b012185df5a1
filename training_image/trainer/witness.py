"""A sampler that tells nothing of what keeps to a form is asked for some free tokens beside: that those came
from the policy in training, adapter included, shows it of all.
"""

from collections.abc import Sequence
from typing import Any

from training_image.generate import Generated, OnEnd
from training_image.sampling import Sampling
from training_image.trainer.forms import Forms
from training_image.trainer.probe import check_is_policy
from training_image.trainer.sampler import LoopSampler, Sampler

_TOKENS = 16


class WitnessedSampler:
    def __init__(self, own: Sampler, *, bound: float) -> None:
        """`bound`: the mean difference of a token's log-probability that rounding explains."""
        self._own = own
        self._bound = bound

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        """Raises: TrainingError if completions are not the policy's."""
        formed = [place for place, one in enumerate(samplings) if one.constraint]
        if not formed:
            return self._own.sample(model, prompts, samplings, on_end=on_end)

        def end(place: int, one: Generated) -> None:
            if on_end and place < len(prompts):
                on_end(place, one)

        asked, seed = prompts[formed[0]], samplings[formed[0]].seed
        free = Sampling(_TOKENS, seed=seed)
        *made, witness = self._own.sample(model, [*prompts, asked], [*samplings, free], on_end=end)
        check_is_policy(model, asked, witness, bound=self._bound)
        return made


def witnessed(sampler: Sampler, forms: Forms, *, bound: float) -> Sampler:
    """Our own loop tells the model's own log-probabilities of whatever it samples."""
    if forms.answer is None or isinstance(sampler, LoopSampler):
        return sampler
    return WitnessedSampler(sampler, bound=bound)
