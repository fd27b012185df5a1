"""What a run on several machines tells and leaves: the same events, rollouts, evaluations, adapters and
result as a run on one. It runs on the first host alone, and knows of verl its metrics' names only.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, SupportsFloat

from outcrop import ids, s3_keys, training_metrics
from outcrop.errors import StateError
from outcrop.stores.jobs import JobStore
from outcrop.training_spec import TrainingResult, TrainingSpec
from training_image.trainer import preflight
from training_image.trainer.errors import TrainingError
from training_image.trainer.evaluate import Evaluation
from training_image.trainer.failing import STEPS, Failing
from training_image.trainer.history import History
from training_image.trainer.publish import Publisher
from training_image.trainer.rewards import check, failures, judges_tokens, mean_metrics, mean_reward
from training_image.trainer.step_events import StepEvents
from training_image.trainer.validation import Validation
from training_image.verl.checkpoints import HISTORY
from training_image.verl.reward import Scored, learned_from, share_without_variance

Rows = Sequence[dict[str, Any]]


class _Evaluated:
    """Stands where `Validation` has an `Evaluator`: verl has sampled and graded already."""

    def __init__(self, rows: Rows) -> None:
        self.rows = [*rows]
        self.seconds = 0.0
        self.made = Evaluation([], [], 0.0)

    def evaluate(self, model: Any) -> Evaluation:
        return self.made


class Reporting:
    def __init__(
        self,
        spec: TrainingSpec,
        rows: Rows,
        validation: Rows,
        history: History,
        events: StepEvents,
        *,
        is_told_to_stop: Callable[[], bool],
    ) -> None:
        self.history = history
        self.events = events
        self.was_stopped = False
        """Whether the run was ended before its last step: cancelled, paused, or interrupted."""
        self._spec = spec
        self._rows = rows
        self._validation_rows = validation
        self._is_told_to_stop = is_told_to_stop
        self._jobs = JobStore(spec.project)
        self._publisher = Publisher(spec)
        self._evaluated = _Evaluated(validation)
        evaluator: Any = self._evaluated
        self._validation = (
            Validation(spec, evaluator, history, self._publisher, events) if validation else None
        )
        self._seconds: list[float] = []

    def check(self, step: int, scored: Sequence[Scored]) -> None:
        """Before a step learns. Raises: GraderFailing, when the step's rollouts are written, if too many of
        its completions have no reward."""
        graded = [one.graded(self._rows) for one in scored]
        try:
            limit = self._spec.hyperparameters.grader_failure_limit
            check(graded, limit, is_first=not self._seconds, of="of a step")
        except TrainingError:
            self._publisher.rollouts(step, graded, [None] * len(graded))
            raise

    def evaluate(self, step: int, scored: Sequence[Scored], seconds: float) -> None:
        """`scored`: the completions of all validation rows. Raises: GraderFailing."""
        if self._validation is None:
            return
        numbers = self._spec.hyperparameters
        ordered = sorted(scored, key=lambda one: (one.index, one.session))
        greedy = [one.graded(self._validation_rows) for one in ordered if one.session == 0]
        drawn = [one.graded(self._validation_rows) for one in ordered if one.session > 0]
        self._evaluated.made = Evaluation(greedy, drawn, numbers.temperature)
        self._evaluated.seconds = seconds
        self._validation.evaluate(None, step)
        self._tell_of_failures(self.history.failing_in_evaluation, step, "an evaluation's", "evaluation")

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
        numbers, history = self._spec.hyperparameters, self.history
        measured = {name: float(one) for name, one in measured.items() if isinstance(one, SupportsFloat)}
        graded = [one.graded(self._rows) for one in scored]
        learned = learned_from(scored, groups, numbers.overlong_completions)
        told = [value if is_learned else None for value, is_learned in zip(advantages, learned, strict=True)]
        self._publisher.rollouts(step, graded, told)
        rewards = [one.reward.reward for one in graded if one.reward.reward is not None]
        reward = mean_reward(graded)
        cut_off = fmean(one.is_cut_off for one in scored)
        for value, seen in (
            (reward, history.train_rewards),
            (measured.get("actor/entropy"), history.entropies),
            (share_without_variance(scored, groups), history.zero_variance),
            (measured.get("response_length/mean"), history.lengths),
            (cut_off, history.cut_off),
        ):
            if value is not None:
                seen.append(float(value))
        seconds = float(measured.get("timing_s/step", 0.0))
        self._seconds.append(seconds)
        history.trained_tokens += round(measured.get("response_length/mean", 0.0) * sum(learned))
        evaluated = self._validation if step in history.evaluations else None
        data = {
            "step": step,
            "total_steps": numbers.max_steps,
            "critic_rewards_mean": reward,
            "critic_advantages_mean": _mean([one for one in told if one is not None]) or 0.0,
            "actor_entropy": measured.get("actor/entropy"),
            "actor_pg_loss": measured.get("actor/pg_loss"),
            "actor_grad_norm": measured.get("actor/grad_norm"),
            "response_length_mean": measured.get("response_length/mean"),
            "train_mean_reward": reward,
            "timing": {
                "step": {
                    "sampling": round(measured.get("timing_s/gen", 0.0), 3),
                    "grading": 0.0,  # while others are sampled
                    "training": round(sum(measured.get(f"timing_s/{name}", 0.0) for name in _TRAINING), 3),
                    "eval": round(evaluated.seconds, 3) if evaluated else 0.0,
                    "full_iteration": round(seconds, 3),
                }
            },
            "errors": failures(graded),
            "scores": {
                "graders": [
                    {"name": name, "train_reward_mean": mean} for name, mean in mean_metrics(graded).items()
                ],
                "train_reward_mean": reward,
            },
            "model_graders_token_usage": judges_tokens(
                train=graded, evaluated=evaluated.latest if evaluated else ()
            ),
            "reward_std": stdev(rewards) if len(rewards) > 1 else None,
            "frac_reward_zero_std": history.zero_variance[-1],
            "completions_clipped_ratio": cut_off,
            "clip_ratio": measured.get("actor/pg_clipfrac"),
            "kl": measured.get("actor/kl_loss"),
            "step_time": round(seconds, 3),
            **(evaluated.figures() if evaluated else {}),
        }
        self.events.append(
            "info",
            f"Step {step}/{numbers.max_steps}: training metrics",
            type="metrics",
            data={name: value for name, value in data.items() if value is not None},
        )
        drawn = {
            "reward": reward,
            "valid_reward": history.evaluations.get(step),
            "completions": len(graded),
            "grader_failures": failures(graded).total(),
            "step_seconds": round(seconds, 3),
        }
        print(training_metrics.line(self._spec.job_id, step, drawn), flush=True)
        for text in history.new_warnings():
            self.events.append("warn", text, data={"step": step})
        history.failing.add(len(graded), failures(graded), window=STEPS)
        self._tell_of_failures(history.failing, step, "the latest steps'", "training")
        return self._may_go_on(step)

    def publish(self, step: int, adapter: Any) -> None:
        """`adapter` saves itself as PEFT does."""
        metrics: dict[str, float] = {"step": step}
        if self.history.train_rewards:
            metrics["train_reward_mean"] = self.history.train_rewards[-1]
        if step in self.history.evaluations:
            metrics["valid_reward_mean"] = self.history.evaluations[step]
        if step in self.history.sampled_evaluations:
            metrics["valid_sampled_reward_mean"] = self.history.sampled_evaluations[step]
        model = self._publisher.checkpoint(adapter, step, metrics)
        self.history.published.append(step)
        self.events.append("info", f"Checkpoint created at step {step}: {model}", data={"step": step})

    def write_state(self, checkpoint: Path) -> None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / HISTORY).write_text(json.dumps(self.history.to_json()))
        preflight.describe(self._spec, checkpoint)

    def finish(self, folder: Path, *, base: Path) -> None:
        """The best adapter to `folder`, merged with the model in `base` if that is wanted, and the result."""
        step = self.history.best_step()
        self._publisher.fetch_adapter(step, folder)
        self.events.append(
            "info", f"Training finished: the model is that of step {step}.", data={"step": step}
        )
        if self._validation:
            self._validation.compare(step)
        self._publisher.result(
            TrainingResult(
                step=step,
                adapter_key=s3_keys.adapter(self._spec.project, self._spec.job_id, step),
                merged_key=self._merged(step, base, folder) if self._spec.merge else None,
                trained_tokens=self.history.trained_tokens,
                metrics=self.history.metrics(),
            )
        )

    def _merged(self, step: int, base: Path, adapter: Path) -> str | None:
        try:
            return self._publisher.merged(base, adapter)
        except (OSError, TrainingError) as error:
            self.events.append(
                "warn", f"The model could not be merged into one: {error}", data={"step": step}
            )
            return None

    def _may_go_on(self, step: int) -> bool:
        numbers = self._spec.hyperparameters
        left = numbers.max_steps - step
        patience = numbers.early_stopping_patience
        if patience is not None and self.history.without_gain >= patience and left:
            left = 0
            told = f"Training ends early, at step {step} of {numbers.max_steps}: evaluations gained nothing"
            self.events.append(
                "info", f"{told} (early_stopping_patience is {patience}).", data={"step": step}
            )
        try:
            job = self._jobs.progress(
                self._spec.job_id,
                self._spec.attempt,
                estimated_finish=ids.now() + round(left * fmean(self._seconds)),
                trained_tokens=self.history.trained_tokens,
            )
        except StateError:
            self.was_stopped = bool(left)
            return False
        if left and (job.pause_requested or self._is_told_to_stop()):
            self.was_stopped = True
        return bool(left) and not self.was_stopped

    def _tell_of_failures(self, failing: Failing, step: int, whose: str, left_out_of: str) -> None:
        match failing.news(self._spec.hyperparameters.grader_warning_limit):
            case "failing" | "worse":
                text = (
                    f"The grader failed on {failing.share:.0%} of {whose} completions "
                    f"({failing.told_causes()}); they are left out of the {left_out_of}."
                )
                self.events.append("warn", text, data={"step": step})
            case "over":
                text = f"The grader failed on no more than {failing.share:.0%} of {whose} completions."
                self.events.append("info", text, data={"step": step})
            case None:
                pass


_TRAINING = ("old_log_prob", "ref", "adv", "update_actor")


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
