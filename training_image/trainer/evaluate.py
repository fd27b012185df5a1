"""The policy on the validation file: each row's likeliest completion and some that are drawn, graded by the
job's own grader.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

from training_image.generate import Generated
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.forms import FREE, Forms
from training_image.trainer.rewards import Graded, Grades, GradingRound
from training_image.trainer.sampler import Sampler


@dataclass(frozen=True)
class Evaluation:
    greedy: list[Graded]
    """The likeliest completion of each row."""
    drawn: list[Graded]
    """Completions as the policy in training writes them."""
    temperature: float
    """That they are drawn at."""
    seconds: float
    """That sampling and grading took."""

    @property
    def all(self) -> list[Graded]:
        return [*self.greedy, *self.drawn]


class Evaluator:
    def __init__(
        self,
        grader: Grades,
        rows: list[dict[str, Any]],
        chat: ChatFormat,
        sampler: Sampler,
        *,
        samples: int,
        sampling: Sampling,
        forms: Forms = FREE,
    ) -> None:
        """`samples` completions of each row are drawn as `sampling` says, beside the likeliest one."""
        self._rows = rows
        self._grader = grader
        self._chat = chat
        self._sampler = sampler
        self._samples = samples
        self._sampling = sampling
        self._forms = forms

    def evaluate(self, model: Any) -> Evaluation:
        """Every row's completions, graded, all sampled together: a row's prompt is read once for them. Draws
        nothing from torch's global generator, so training is not disturbed.
        """
        started = time.perf_counter()
        each = 1 + self._samples
        inputs = [question(self._rows, index) for index in range(len(self._rows)) for _ in range(each)]
        round = GradingRound(self._grader, self._rows, inputs, self._chat.read)
        made = self._sampler.sample(
            model,
            [self._chat.tokens(one) for one in inputs],
            [
                self._forms.applied(self._sampling_of(place, is_greedy=place % each == 0), one)
                for place, one in enumerate(inputs)
            ],
            on_end=lambda place, one: round.submit(place, self._text(one), one.finish_reason),
        )
        graded = round.grade([self._text(one) for one in made])
        greedy = graded[::each]
        drawn = [one for place, one in enumerate(graded) if place % each]
        return Evaluation(greedy, drawn, self._sampling.temperature, time.perf_counter() - started)

    def _text(self, completion: Generated) -> str:
        return self._chat.text(completion.token_ids)

    def _sampling_of(self, place: int, *, is_greedy: bool) -> Sampling:
        """The same draws at every evaluation: two of them differ by what has been learned in between."""
        return replace(
            self._sampling, temperature=0.0 if is_greedy else self._sampling.temperature, seed=place
        )
