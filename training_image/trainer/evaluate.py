"""The policy on the validation file: likeliest completions, graded by the job's own grader."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from training_image.generate import Generated, generate, stop_tokens
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.merging import merged
from training_image.trainer.rewards import Graded, Grades, GradingRound

_ROWS_AT_ONCE = 32


class Evaluator:
    def __init__(
        self,
        grader: Grades,
        rows: list[dict[str, Any]],
        tokenizer: Any,
        chat: ChatFormat,
        *,
        samples: int,
        sampling: Sampling,
    ) -> None:
        """`samples` completions of each row: the likeliest one if it is 1, else drawn as `sampling` says."""
        self.rows = rows
        self._grader = grader
        self._tokenizer = tokenizer
        self._chat = chat
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
        with merged(model):
            texts = [
                text
                for start in range(0, len(inputs), _ROWS_AT_ONCE)
                for text in self._complete(model, inputs[start : start + _ROWS_AT_ONCE], start, round)
            ]
        graded = round.grade(texts)
        self.seconds = time.perf_counter() - started
        return graded

    def _complete(
        self, model: Any, inputs: Sequence[dict[str, Any]], start: int, round: GradingRound
    ) -> list[str]:
        """Of the inputs from `start` on; each is submitted to be graded as soon as it has ended."""
        asked = [self._chat.tokens(one) for one in inputs]
        samplings = [self._sampling_of(start + place) for place in range(len(inputs))]
        made = generate(
            model,
            asked,
            samplings,
            stop_token_ids=stop_tokens(model, self._tokenizer),
            on_end=lambda place, one: round.submit(start + place, self._text(one), one.finish_reason),
        )
        return [self._text(one) for one in made]

    def _text(self, completion: Generated) -> str:
        return self._chat.text(completion.token_ids)

    def _sampling_of(self, place: int) -> Sampling:
        temperature = 0.0 if self._samples == 1 else self._sampling.temperature
        return replace(self._sampling, temperature=temperature, seed=place)
