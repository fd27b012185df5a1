"""What a run on several machines tells: the report of a run on one, from verl's batches and metrics. It runs
on the first host alone, and knows of verl its metrics' names only.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, SupportsFloat

from outcrop.training_spec import TrainingSpec
from training_image.trainer import preflight
from training_image.trainer.errors import TrainingError
from training_image.trainer.evaluate import Evaluation
from training_image.trainer.rewards import Graded, check
from training_image.trainer.run_report import RunReport, StepFigures
from training_image.verl.checkpoints import HISTORY
from training_image.verl.reward import Scored, learned_from, share_without_variance

Rows = Sequence[dict[str, Any]]
_TRAINING = ("old_log_prob", "ref", "adv", "update_actor")
"""What verl spends a step's seconds on beside sampling."""


class Reporting:
    def __init__(self, spec: TrainingSpec, report: RunReport, rows: Rows, validation: Rows) -> None:
        self.was_stopped = False
        """Whether the run was ended before its last step: cancelled, paused, or interrupted."""
        self._spec = spec
        self.report = report
        self._rows = rows
        self._validation = validation
        self._is_first = True
        self._latest: list[Graded] = []

    def check(self, step: int, scored: Sequence[Scored]) -> None:
        """Before a step learns. Raises: GraderFailing, when the step's rollouts are written, if too many of
        its completions have no reward."""
        graded = [one.graded(self._rows) for one in scored]
        try:
            limit = self._spec.hyperparameters.grader_failure_limit
            check(graded, limit, is_first=self._is_first, of="of a step")
        except TrainingError:
            self.report.rollouts(step, graded, [None] * len(graded))
            raise

    def evaluate(self, step: int, scored: Sequence[Scored], seconds: float) -> None:
        """`scored`: the completions of all validation rows. Raises: GraderFailing."""
        ordered = sorted(scored, key=lambda one: (one.index, one.session))
        greedy = [one.graded(self._validation) for one in ordered if one.session == 0]
        drawn = [one.graded(self._validation) for one in ordered if one.session > 0]
        temperature = self._spec.hyperparameters.temperature
        self.report.evaluation(step, Evaluation(greedy, drawn, temperature, seconds))

    def validation_reward(self, step: int) -> float:
        """0 if no completion had one."""
        return self.report.history.evaluations.get(step, 0.0)

    def step(
        self,
        step: int,
        scored: Sequence[Scored],
        groups: Sequence[str],
        advantages: Sequence[float],
        measured: Mapping[str, Any],
    ) -> bool:
        """`groups` and `advantages` are of the completions `scored`, `measured` verl's metrics. False when
        there should be no further step."""
        numbers, self._is_first = self._spec.hyperparameters, False
        measured = {name: float(one) for name, one in measured.items() if isinstance(one, SupportsFloat)}
        graded = self._latest = [one.graded(self._rows) for one in scored]
        learned = learned_from(scored, groups, numbers.overlong_completions)
        told = [value if is_learned else None for value, is_learned in zip(advantages, learned, strict=True)]
        self.report.rollouts(step, graded, told)
        seconds = measured.get("timing_s/step", 0.0)
        left = numbers.max_steps - step
        if left and self.report.stops_early:
            left = 0
            self.report.tell_of_early_end(step)
        tokens = round(measured.get("response_length/mean", 0.0) * sum(learned))
        goes_on = self.report.progress(left=left, seconds=seconds, tokens=tokens)
        self.was_stopped = bool(left) and not goes_on
        self.report.step(step, _figures(scored, groups, told, measured), graded)
        return bool(left) and goes_on

    def publish(self, step: int, adapter: Any) -> None:
        """`adapter` saves itself as PEFT does."""
        self.report.checkpoint(step, adapter, self._latest)

    def write_state(self, checkpoint: Path) -> None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / HISTORY).write_text(json.dumps(self.report.history.to_json()))
        preflight.describe(self._spec, checkpoint)


def _figures(
    scored: Sequence[Scored],
    groups: Sequence[str],
    advantages: Sequence[float | None],
    measured: Mapping[str, float],
) -> StepFigures:
    rewards = [one.reward.reward for one in scored if one.reward.reward is not None]
    learned = [one for one in advantages if one is not None]
    return StepFigures(
        reward=fmean(rewards) if rewards else None,
        reward_std=stdev(rewards) if len(rewards) > 1 else None,
        zero_variance=share_without_variance(scored, groups),
        mean_advantage=fmean(learned) if learned else 0.0,
        mean_length=measured.get("response_length/mean"),
        cut_off=fmean(one.is_cut_off for one in scored),
        entropy=measured.get("actor/entropy"),
        loss=measured.get("actor/pg_loss"),
        grad_norm=measured.get("actor/grad_norm"),
        learning_rate=measured.get("actor/lr"),
        clip_ratio=measured.get("actor/pg_clipfrac"),
        kl=measured.get("actor/kl_loss"),
        seconds={
            "sampling": measured.get("timing_s/gen", 0.0),
            "grading": 0.0,  # while others are sampled
            "training": sum(measured.get(f"timing_s/{name}", 0.0) for name in _TRAINING),
            "full_iteration": measured.get("timing_s/step", 0.0),
        },
    )
