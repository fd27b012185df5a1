"""The policy on the validation file: likeliest completions, graded by the job's own grader."""

import time
from dataclasses import replace
from typing import Any

from training_image.generate import Generated
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.rewards import Graded, Grades, GradingRound
from training_image.trainer.sampler import Sampler


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
    ) -> None:
        """`samples` completions of each row: the likeliest one if it is 1, else drawn as `sampling` says."""
        self.rows = rows
        self._grader = grader
        self._chat = chat
        self._sampler = sampler
        self._samples = samples
        self._sampling = sampling
        self.seconds = 0.0
        """That the last evaluation took."""

    def evaluate(self, model: Any) -> list[Graded]:
        """Every row's completions, graded. Draws nothing from torch's global generator, so training is not
        disturbed.
        """
        started = time.perf_counter()
        inputs = [question(self.rows, index) for index in range(len(self.rows)) for _ in range(self._samples)]
        round = GradingRound(self._grader, self.rows, inputs, self._chat.read)
        made = self._sampler.sample(
            model,
            [self._chat.tokens(one) for one in inputs],
            [self._sampling_of(place) for place in range(len(inputs))],
            on_end=lambda place, one: round.submit(place, self._text(one), one.finish_reason),
        )
        graded = round.grade([self._text(one) for one in made])
        self.seconds = time.perf_counter() - started
        return graded

    def _text(self, completion: Generated) -> str:
        return self._chat.text(completion.token_ids)

    def _sampling_of(self, place: int) -> Sampling:
        temperature = 0.0 if self._samples == 1 else self._sampling.temperature
        return replace(self._sampling, temperature=temperature, seed=place)
