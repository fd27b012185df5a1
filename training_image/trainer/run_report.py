"""What a run tells and leaves, on one machine or on several: events, metrics, rollouts, evaluations,
adapters, the result. It knows nothing of who samples and who learns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from statistics import fmean
from typing import Any

from outcrop import ids, training_metrics
from outcrop.errors import StateError
from outcrop.stores.jobs import JobStore
from outcrop.training_spec import TrainingResult, TrainingSpec
from training_image.trainer.errors import TrainingError
from training_image.trainer.evaluate import Evaluation
from training_image.trainer.failing import STEPS, Failing, told_causes
from training_image.trainer.history import History
from training_image.trainer.publish import Publisher
from training_image.trainer.rewards import Graded, failures, judges_tokens, mean_metrics, mean_reward
from training_image.trainer.step_events import StepEvents
from training_image.trainer.validation import Validation


@dataclass(frozen=True)
class StepFigures:
    """Of one update of the policy, as those measured it who made it: None for what they did not."""

    reward: float | None
    """Mean of the completions that have one."""
    reward_std: float | None
    zero_variance: float | None
    """Share of the groups whose rewards are all equal."""
    mean_advantage: float
    mean_length: float | None
    """Tokens of a completion."""
    cut_off: float | None
    """Share of the completions that `max_completion_length` ended."""
    entropy: float | None
    loss: float | None
    grad_norm: float | None
    learning_rate: float | None
    clip_ratio: float | None
    kl: float | None
    seconds: Mapping[str, float]
    """By what was done in them: `sampling`, `grading`, `training`, and `full_iteration`, the whole step."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """Metrics that only this engine has, by the name that events give them."""
    drawn: Mapping[str, float] = field(default_factory=dict)
    """What CloudWatch draws beside the rest."""


class RunReport:
    def __init__(
        self,
        spec: TrainingSpec,
        history: History,
        events: StepEvents,
        validation: Sequence[dict[str, Any]],
        *,
        base: Path,
        is_told_to_stop: Callable[[], bool],
    ) -> None:
        """`validation`: the rows of the validation file, none if there is none. `base`: the base model's
        folder."""
        self.history = history
        self.events = events
        self._spec = spec
        self._is_told_to_stop = is_told_to_stop
        self._jobs = JobStore(spec.project)
        self._publisher = Publisher(spec, base)
        self._validation = (
            Validation(spec, validation, history, self._publisher, events) if validation else None
        )
        self._seconds: list[float] = []

    def begin(self, rows: int, validation: int, *, resumed_at: int | None, where: str = "") -> None:
        """`rows` of the training and `validation` of the validation file; `resumed_at`: the step of the
        checkpoint, if there is one."""
        if resumed_at is not None:
            self.events.append("info", f"Training resumed from the checkpoint of step {resumed_at}.")
            return
        if self.events.is_begun:
            self.events.append("warn", "No checkpoint of the interrupted training is whole: it begins anew.")
        numbers = self._spec.hyperparameters
        self.events.append(
            "info",
            f"Training started: {self._spec.base_model}, {numbers.max_steps} steps of "
            f"{numbers.prompts_per_step} prompts x {numbers.num_generations} completions, {rows} training "
            f"rows, {validation} validation rows{where}.",
            data={"step": 0},
        )

    def evaluation(self, step: int, made: Evaluation) -> None:
        """Raises: GraderFailing if too many completions could not be graded."""
        if self._validation is None:
            return
        self._validation.note(step, made)
        failing = self.history.failing_in_evaluation
        self._tell_of_failures(failing, step, "an evaluation's completions", "evaluation")

    def rollouts(self, step: int, graded: Sequence[Graded], advantages: Sequence[float | None]) -> None:
        """`advantages`: None for a completion that nothing was learned from."""
        self._publisher.rollouts(step, graded, advantages)

    def step(self, step: int, figures: StepFigures, graded: Sequence[Graded], *, is_new: bool = True) -> None:
        """An update by the completions `graded`, which are not new if an earlier one learned from them."""
        history = self.history
        for value, seen in (
            (figures.reward, history.train_rewards),
            (figures.entropy, history.entropies),
            (figures.zero_variance, history.zero_variance),
            (figures.mean_length, history.lengths),
            (figures.cut_off, history.cut_off),
        ):
            if value is not None:
                seen.append(value)
        history.without_reward = history.without_reward + 1 if figures.reward is None else 0
        total = self._spec.hyperparameters.max_steps
        self.events.append(
            "info",
            f"Step {step}/{total}: training metrics",
            type="metrics",
            data=self._metrics(step, figures, graded, is_new=is_new),
        )
        if history.without_reward == 1:
            causes = told_causes(failures(graded))
            self.warn(
                step,
                f"No completion of step {step} got a reward ({causes}): it changes nothing, nor do the steps "
                "after it until the grader answers again.",
            )
        print(training_metrics.line(self._spec.job_id, step, self._drawn(step, figures, graded)), flush=True)
        for text in history.new_warnings():
            self.warn(step, text)
        if not is_new:
            return
        history.failing.add(len(graded), failures(graded), window=STEPS)
        seen = len(history.failing.completions)
        steps = "the last step's completions" if seen == 1 else f"the last {seen} steps' completions"
        self._tell_of_failures(history.failing, step, steps, "training")

    def warn(self, step: int, text: str) -> None:
        self.events.append("warn", text, data={"step": step})

    @property
    def stops_early(self) -> bool:
        """Whether evaluations have gained nothing for as long as the job has patience."""
        patience = self._spec.hyperparameters.early_stopping_patience
        return patience is not None and self.history.without_gain >= patience

    def tell_of_early_end(self, step: int) -> None:
        patience = self._spec.hyperparameters.early_stopping_patience
        evaluations = "the last evaluation" if patience == 1 else f"the last {patience} evaluations"
        self.events.append(
            "info",
            f"Training ends early, at step {step} of {self._spec.hyperparameters.max_steps}: {evaluations} "
            f"gained nothing beyond noise on the validation file (early_stopping_patience is {patience}).",
            data={"step": step},
        )

    def progress(self, *, left: int, seconds: float, tokens: int) -> bool:
        """Record a step that took so many seconds and learned from so many tokens, with so many steps left.
        False when the job was cancelled, or it or the process is told to stop."""
        self._seconds.append(seconds)
        self.history.trained_tokens += tokens
        try:
            job = self._jobs.progress(
                self._spec.job_id,
                self._spec.attempt,
                estimated_finish=ids.now() + round(left * fmean(self._seconds)),
                trained_tokens=self.history.trained_tokens,
            )
        except StateError:
            return False
        return not (job.pause_requested or self._is_told_to_stop())

    def checkpoint(self, step: int, model: Any, graded: Sequence[Graded]) -> None:
        """The adapter of `model`, which saves itself as PEFT does, or all its weights, where they can be
        served. `graded`: the step's completions. A full disk costs the checkpoint, not the run."""
        metrics: dict[str, float] = {"step": step}
        for name, value in (
            ("train_reward_mean", mean_reward(graded)),
            ("valid_reward_mean", self.history.evaluations.get(step)),
            ("valid_sampled_reward_mean", self.history.sampled_evaluations.get(step)),
        ):
            if value is not None:
                metrics[name] = value
        try:
            name = self._publisher.checkpoint(model, step, metrics)
        except OSError as error:
            self.warn_of_full_disk("checkpoint", step, error)
            return
        self.history.published.append(step)
        self.events.append("info", f"Checkpoint created at step {step}: {name}", data={"step": step})

    def warn_of_full_disk(self, what: str, step: int, error: OSError) -> None:
        reason = error.strerror or error
        self.warn(step, f"No {what} could be written at step {step}: {reason}. Training goes on.")

    def finish(self, folder: Path, *, peak_gb: float | None = None) -> None:
        """The best adapter, or model, to `folder`, in one piece with the base model if that is wanted, and
        the result, which makes the run a success. `peak_gb`: the most memory that the run took, if that was
        measured.

        Raises: TrainingError if no checkpoint could be saved.
        """
        if not self.history.published:
            raise TrainingError("No checkpoint could be written during the whole training: is the disk full?")
        step, metrics = self.history.best_step(), self.history.metrics()
        try:
            self._publisher.fetch(step, folder)
        except FileNotFoundError:
            raise
        except OSError as error:  # the model is in the bucket: it needs no copy here
            rmtree(folder, ignore_errors=True)
            self.warn(step, f"The model could not be copied to {folder}: {error.strerror or error}.")
        told = "".join(
            f", {name.replace('_', ' ')} {metrics[name]:.3f}"
            for name in ("valid_reward_base", "valid_reward_tuned")
            if name in metrics
        )
        told = f"Training finished: the model is that of step {step}{told}."
        self.events.append("info", told, data={"step": step})
        if peak_gb is not None:
            measured = {"step": step, "peak_memory_gb": round(peak_gb, 3)}
            self.events.append("info", f"Peak memory was {peak_gb:.1f} GB.", data=measured)
        if self._validation:
            self._validation.compare(step)
        self._publisher.result(
            TrainingResult(
                step=step,
                **self._publisher.keys(step),
                merged_key=self._merged(step, folder) if self._spec.merge else None,
                trained_tokens=self.history.trained_tokens,
                metrics=metrics,
            )
        )

    def _merged(self, step: int, trained: Path) -> str | None:
        """The key of the merged model. That it cannot be made costs its serving, not the training."""
        try:
            return self._publisher.merged(trained)
        except (OSError, TrainingError) as error:
            self.warn(step, f"The model could not be merged into one: {error}")
            return None

    def _tell_of_failures(self, failing: Failing, step: int, completions: str, left_out_of: str) -> None:
        match failing.news(self._spec.hyperparameters.grader_warning_limit):
            case "failing" | "worse" as news:
                again = " by now" if news == "worse" else ""
                self.warn(
                    step,
                    f"The grader failed on {failing.share:.0%} of {completions}{again} "
                    f"({failing.told_causes()}); they are left out of the {left_out_of}.",
                )
            case "over":
                text = f"The grader failed on no more than {failing.share:.0%} of {completions}."
                self.events.append("info", text, data={"step": step})
            case None:
                pass

    def _drawn(self, step: int, figures: StepFigures, graded: Sequence[Graded]) -> dict[str, float | None]:
        """What CloudWatch draws of a step."""
        took = {
            f"{what}_seconds": round(seconds, 3)
            for what, seconds in figures.seconds.items()
            if what != "full_iteration"
        }
        return {
            "reward": figures.reward,
            "valid_reward": self.history.evaluations.get(step),
            "completions": len(graded),
            "grader_failures": failures(graded).total(),
            **took,
            "step_seconds": round(figures.seconds["full_iteration"], 3),
            **figures.drawn,
        }

    def _metrics(
        self, step: int, figures: StepFigures, graded: Sequence[Graded], *, is_new: bool
    ) -> dict[str, Any]:
        """Bedrock's names, then OpenAI's, then ours."""
        sampled = graded if is_new else []
        evaluated = self._validation if step in self.history.evaluations else None
        seconds = {name: round(value, 3) for name, value in figures.seconds.items()}
        data: dict[str, Any] = {
            "step": step,
            "total_steps": self._spec.hyperparameters.max_steps,
            "critic_rewards_mean": figures.reward,
            "critic_advantages_mean": figures.mean_advantage,
            "actor_entropy": figures.entropy,
            "actor_pg_loss": figures.loss,
            "actor_grad_norm": figures.grad_norm,
            "response_length_mean": figures.mean_length,
            "train_mean_reward": figures.reward,
            "timing": {"step": {**seconds, "eval": round(evaluated.seconds, 3) if evaluated else 0.0}},
            "errors": failures(sampled),
            "scores": {
                "graders": [
                    {"name": name, "train_reward_mean": mean} for name, mean in mean_metrics(graded).items()
                ],
                **({"train_reward_mean": figures.reward} if figures.reward is not None else {}),
            },
            "model_graders_token_usage": judges_tokens(
                train=sampled, evaluated=evaluated.latest if evaluated else ()
            ),
            "reward_std": figures.reward_std,
            "frac_reward_zero_std": figures.zero_variance,
            "completions_clipped_ratio": figures.cut_off,
            "learning_rate": figures.learning_rate,
            "clip_ratio": figures.clip_ratio,
            "kl": figures.kl,
            "step_time": seconds["full_iteration"],
            **figures.others,
            **(evaluated.figures() if evaluated else {}),
        }
        return {name: value for name, value in data.items() if value is not None}
