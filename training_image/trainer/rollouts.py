"""A step's completions: of which prompts, drawn by which seeds, sampled by whom, and what they earn."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from training_image.generate import Generated
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.forms import FREE, Forms
from training_image.trainer.groups import Group, ids
from training_image.trainer.prompts import PromptQueue
from training_image.trainer.rewards import Rewards
from training_image.trainer.sampler import Sampler
from training_image.trainer.seeds import draw_seed

_WORTH_A_ROUND = 0.25
"""Share of a step's groups that have to teach nothing for fresh ones to be sampled."""


class Rollouts:
    def __init__(
        self,
        *,
        rows: Sequence[dict[str, Any]],
        prompts: PromptQueue,
        chat: ChatFormat,
        sampler: Sampler,
        sampling: Sampling,
        rewards: Rewards,
        forms: Forms = FREE,
        replacements: int = 0,
    ) -> None:
        """`prompts` says which of `rows` a step trains on. In a step, up to `replacements` more prompts are
        sampled, in place of those whose completions all get one reward."""
        self.prompts = prompts
        self.seconds = {"sampling": 0.0, "grading": 0.0}
        """Of the latest step. Grading counts from when sampling has ended: what was graded before cost
        nothing."""
        self._rows = rows
        self._chat = chat
        self._sampler = sampler
        self._sampling = sampling
        self._forms = forms
        self._rewards = rewards
        self._replacements = replacements

    def step(self, model: Any, step: int, *, prompts: int, completions: int, seed: int) -> list[Group]:
        """A group of so many `completions` of each of so many `prompts`; and, if many of them have nothing to
        compare, of as many fresh prompts as may be expected to make up for them, within the budget (dynamic
        sampling as in DAPO, arXiv 2503.14476, but in one round: a GPU takes about as long for few prompts as
        for many). `seed`: the run's.
        """
        self._rewards.begin_step()
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        seeds = [draw_seed(seed, step, draw) for draw in range((prompts + self._replacements) * completions)]
        first, rest = seeds[: prompts * completions], seeds[prompts * completions :]
        sampled = self._groups(model, self.prompts.take(prompts), first)
        different = sum(group.differs for group in sampled)
        missing = prompts - different
        if missing >= _WORTH_A_ROUND * prompts:
            expected = round(missing * prompts / different) if different else self._replacements
            fresh = self.prompts.take(
                min(expected, self._replacements), besides=[group.row for group in sampled]
            )
            if fresh:
                sampled += self._groups(model, fresh, rest[: len(fresh) * completions])
        for group in sampled:
            if group.graded:
                self.prompts.tell(group.row, differs=group.differs)
        return sampled

    def _groups(self, model: Any, rows: Sequence[int], seeds: Sequence[int]) -> list[Group]:
        """Completions of each row, as many as there are seeds for, graded."""
        size = len(seeds) // len(rows)
        questions = [question(self._rows, row) for row in rows for _ in range(size)]
        round = self._rewards.round(questions)
        prompts = [self._chat.tokens(one) for one in questions]
        started = time.perf_counter()
        made = self._sampler.sample(
            model,
            prompts,
            [
                replace(self._forms.applied(self._sampling, one), seed=seed)
                for one, seed in zip(questions, seeds, strict=True)
            ],
            on_end=lambda place, one: round.submit(place, self._text(one), one.finish_reason),
        )
        sampled = time.perf_counter()
        rewards = self._rewards.rewards(round, [self._text(one) for one in made])
        self.seconds["sampling"] += sampled - started
        self.seconds["grading"] += time.perf_counter() - sampled
        return [
            Group(row, prompts[start], made[start : start + size], rewards[start : start + size])
            for row, start in zip(rows, range(0, len(made), size), strict=True)
        ]

    def _text(self, completion: Generated) -> str:
        return self._chat.text(ids(completion))
