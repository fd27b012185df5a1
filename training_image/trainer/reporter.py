"""After every step: evaluate, record, tell, save."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from outcrop import ids, s3_keys, training_metrics
from outcrop.errors import StateError
from outcrop.stores.jobs import JobStore
from outcrop.training_spec import TrainingResult, TrainingSpec
from training_image.trainer import checkpoints, gpu, peak_memory, preflight
from training_image.trainer.errors import TrainingError, failed_writes_as_os_errors
from training_image.trainer.evaluate import Evaluator
from training_image.trainer.failing import STEPS, Failing, told_causes
from training_image.trainer.grpo import GroupTrainer
from training_image.trainer.history import History
from training_image.trainer.publish import Publisher
from training_image.trainer.rewards import Rewards, failures, judges_tokens, mean_metrics, mean_reward
from training_image.trainer.step_events import StepEvents
from training_image.trainer.validation import Validation

HISTORY = "history.json"
PROMPTS = "prompts.json"
_TIMES_ITS_COST = 20
"""The resume state is written after a step if so many times the seconds as it last took have passed,"""
_MOST_SECONDS = 100.0
"""or so many: SIGKILL follows SIGTERM after 120, and the step before a longer one must be on disk."""


class Reporter(TrainerCallback):
    def __init__(
        self,
        spec: TrainingSpec,
        history: History,
        rewards: Rewards,
        evaluator: Evaluator | None,
        *,
        events: StepEvents,
        checkpoint_folder: Path,
        is_told_to_stop: Callable[[], bool],
    ) -> None:
        self.history = history
        self.was_stopped = False
        """Whether the run left before its last step."""
        self.trainer: GroupTrainer
        """Set by whoever makes the trainer, which needs this callback first."""
        self._spec = spec
        self._rewards = rewards
        self._checkpoint_folder = checkpoint_folder
        self._is_told_to_stop = is_told_to_stop
        self._events = events
        self._jobs = JobStore(spec.project)
        self._publisher = Publisher(spec)
        self._validation = (
            Validation(spec, evaluator, history, self._publisher, events) if evaluator else None
        )
        self._seconds: list[float] = []
        self._peak = 0.0
        self._step_began = time.perf_counter()
        self._is_publishing = False
        self._state_is_due = 0.0
        """When the resume state is written again, by `time.monotonic`."""

    @property
    def stops_early(self) -> bool:
        """Whether evaluations have gained nothing for as long as the job has patience."""
        patience = self._spec.hyperparameters.early_stopping_patience
        return patience is not None and self.history.without_gain >= patience

    def evaluate(self, step: int) -> None:
        if self._validation is None:
            return
        self._validation.evaluate(self.trainer.model, step)
        failing = self.history.failing_in_evaluation
        self._tell_of_failures(failing, "an evaluation's completions", "evaluation")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._step_began = time.perf_counter()
        self.trainer.seconds = dict.fromkeys(self.trainer.seconds, 0.0)
        gpu.reset_peak()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Raises: FloatingPointError for a gradient that would ruin the weights."""
        gradients = [one.grad for one in self.trainer.model.parameters() if one.grad is not None]
        if not all(bool(one.isfinite().all()) for one in gradients):
            raise FloatingPointError(f"the gradient of step {state.global_step + 1} is not a number")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, numbers = state.global_step, self._spec.hyperparameters
        if self.trainer.is_first_update:
            self._publisher.rollouts(step, self._rewards.latest, self.trainer.advantages)
        is_last = step >= numbers.max_steps
        if is_last or step % numbers.eval_interval == 0:
            self.evaluate(step)
        if self.stops_early and not is_last:
            is_last = control.should_training_stop = True
            self._tell_of_early_end(step)
        # What was sampled is learned from to its end before anything is saved.
        is_over = step % numbers.num_iterations == 0
        control.should_save = is_over
        self._is_publishing = is_last or step % numbers.save_steps == 0
        if not self._may_go_on(left=0 if is_last else numbers.max_steps - step) and is_over:
            self.was_stopped = not is_last
            self._is_publishing = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "completions/mean_length" not in logs:  # not of a step
            return
        step, history = state.global_step, self.history
        for name, seen in (
            ("reward", history.train_rewards),
            ("entropy", history.entropies),
            ("frac_reward_zero_std", history.zero_variance),
            ("completions/mean_length", history.lengths),
            ("completions/clipped_ratio", history.cut_off),
        ):
            if logs.get(name) is not None:
                seen.append(logs[name])
        history.without_reward = history.without_reward + 1 if logs.get("reward") is None else 0
        self._events.append(
            "info",
            f"Step {step}/{state.max_steps}: training metrics",
            type="metrics",
            data=self._metrics(step, state.max_steps, logs),
        )
        if history.without_reward == 1:
            self._tell_of_step_without_reward(step)
        print(training_metrics.line(self._spec.job_id, step, self._drawn(step, logs)), flush=True)
        if logs.get("out_of_memory"):
            text = (
                f"The machine ran out of memory at step {step}: from here on, a prompt's completions are "
                "learned from in two parts, which changes nothing but the time. If one part is still too "
                "much, the job fails."
            )
            self._events.append("warn", text, data={"step": step})
        for text in history.new_warnings():
            self._events.append("warn", text, data={"step": step})
        if not self.trainer.is_first_update:
            return
        history.failing.add(len(self._rewards.latest), failures(self._rewards.latest), window=STEPS)
        seen = len(history.failing.completions)
        steps = "the last step's completions" if seen == 1 else f"the last {seen} steps' completions"
        self._tell_of_failures(history.failing, steps, "training")

    def save(self) -> None:
        """After every step: the adapter where it can be served, if it is time, then the resume state, which
        says that it is there. A full disk costs the checkpoint, not the run.
        """
        step = self.trainer.state.global_step
        if self._is_publishing:
            self._publish(step)
        elif time.monotonic() < self._state_is_due:
            return
        began = time.monotonic()
        try:
            checkpoints.save(self._checkpoint_folder, step, self._write_state)
        except OSError as error:
            self._warn_of_full_disk("resume state", step, error)
        ended = time.monotonic()
        self._state_is_due = ended + min(_TIMES_ITS_COST * (ended - began), _MOST_SECONDS)

    def _publish(self, step: int) -> None:
        try:
            model = self._publisher.checkpoint(self.trainer.model, step, self._checkpoint_metrics(step))
            self.history.published.append(step)
            self._events.append("info", f"Checkpoint created at step {step}: {model}", data={"step": step})
        except OSError as error:
            self._warn_of_full_disk("checkpoint", step, error)

    def tell_failed_step(self) -> None:
        """The completions of the step that ends the run, and why they have no reward: none taught."""
        latest = self._rewards.latest
        self._publisher.rollouts(self.trainer.state.global_step + 1, latest, [None] * len(latest))

    def finish(self, folder: Path, *, base: Path) -> None:
        """The best adapter to `folder`, merged with the model in `base` if that is wanted, and the result,
        which makes the run a success.

        Raises: TrainingError if none could be saved.
        """
        if not self.history.published:
            raise TrainingError("No checkpoint could be written during the whole training: is the disk full?")
        step = self.history.best_step()
        self._publisher.fetch_adapter(step, folder)
        metrics = self.history.metrics()
        told = "".join(
            f", {name.replace('_', ' ')} {metrics[name]:.3f}"
            for name in ("valid_reward_base", "valid_reward_tuned")
            if name in metrics
        )
        told = f"Training finished: the model is that of step {step}{told}."
        self._events.append("info", told, data={"step": step})
        peak = self._peak_gb()
        measured = {"step": step, "peak_memory_gb": round(peak, 3)}
        self._events.append("info", f"Peak memory was {peak:.1f} GB.", data=measured)
        if self._validation:
            self._validation.compare(step)
        self._publisher.result(
            TrainingResult(
                step=step,
                adapter_key=s3_keys.adapter(self._spec.project, self._spec.job_id, step),
                merged_key=self._merged(base, folder) if self._spec.merge else None,
                trained_tokens=self.history.trained_tokens,
                metrics=metrics,
            )
        )

    def _merged(self, base: Path, adapter: Path) -> str | None:
        """The key of the merged model. That it cannot be made costs its serving, not the training."""
        try:
            return self._publisher.merged(base, adapter)
        except (OSError, TrainingError) as error:
            step = self.history.best_step()
            told = f"The model could not be merged into one: {error}"
            self._events.append("warn", told, data={"step": step})
            return None

    def _peak_gb(self) -> float:
        """Of all steps so far: what torch tells of a GPU is the latest step's."""
        self._peak = max(self._peak, peak_memory.used_gb())
        return self._peak

    def _tell_of_early_end(self, step: int) -> None:
        patience = self._spec.hyperparameters.early_stopping_patience
        steps = self._spec.hyperparameters.max_steps
        evaluations = "the last evaluation" if patience == 1 else f"the last {patience} evaluations"
        self._events.append(
            "info",
            f"Training ends early, at step {step} of {steps}: {evaluations} gained nothing "
            f"beyond noise on the validation file (early_stopping_patience is {patience}).",
            data={"step": step},
        )

    def _may_go_on(self, *, left: int) -> bool:
        """Record progress, with so many steps left; False when the job was cancelled, or it or the process is
        told to stop."""
        self._seconds.append(time.perf_counter() - self._step_began)
        seconds = sum(self._seconds) / len(self._seconds)
        if self.trainer.is_first_update:
            self.history.trained_tokens += self.trainer.completion_tokens
        try:
            job = self._jobs.progress(
                self._spec.job_id,
                self._spec.attempt,
                estimated_finish=ids.now() + round(left * seconds),
                trained_tokens=self.history.trained_tokens,
            )
        except StateError:
            return False
        return not (job.pause_requested or self._is_told_to_stop())

    def _tell_of_failures(self, failing: Failing, completions: str, left_out_of: str) -> None:
        data = {"step": self.trainer.state.global_step}
        match failing.news(self._spec.hyperparameters.grader_warning_limit):
            case "failing" | "worse" as news:
                again = " by now" if news == "worse" else ""
                self._events.append(
                    "warn",
                    f"The grader failed on {failing.share:.0%} of {completions}{again} "
                    f"({failing.told_causes()}); they are left out of the {left_out_of}.",
                    data=data,
                )
            case "over":
                text = f"The grader failed on no more than {failing.share:.0%} of {completions}."
                self._events.append("info", text, data=data)
            case None:
                pass

    def _tell_of_step_without_reward(self, step: int) -> None:
        causes = told_causes(failures(self._rewards.latest))
        self._events.append(
            "warn",
            f"No completion of step {step} got a reward ({causes}): it changes nothing, nor do the steps "
            "after it until the grader answers again.",
            data={"step": step},
        )

    def _warn_of_full_disk(self, what: str, step: int, error: OSError) -> None:
        reason = error.strerror or error
        text = f"No {what} could be written at step {step}: {reason}. Training goes on."
        self._events.append("warn", text, data={"step": step})

    def _write_state(self, folder: Path) -> None:
        with failed_writes_as_os_errors():
            self.trainer.write_state(folder)
        (folder / HISTORY).write_text(json.dumps(self.history.to_json()))
        (folder / PROMPTS).write_text(json.dumps(self.trainer.prompts.to_json()))
        preflight.describe(self._spec, folder)

    def _checkpoint_metrics(self, step: int) -> dict[str, float]:
        found: dict[str, float] = {"step": step}
        reward = mean_reward(self._rewards.latest)
        if reward is not None:
            found["train_reward_mean"] = reward
        if step in self.history.evaluations:
            found["valid_reward_mean"] = self.history.evaluations[step]
        if step in self.history.sampled_evaluations:
            found["valid_sampled_reward_mean"] = self.history.sampled_evaluations[step]
        return found

    def _drawn(self, step: int, logs: dict[str, Any]) -> dict[str, float | None]:
        """What CloudWatch draws of a step."""
        return {
            "reward": logs.get("reward"),
            "valid_reward": self.history.evaluations.get(step),
            "completions": len(self._rewards.latest),
            "grader_failures": failures(self._rewards.latest).total(),
            **{f"{what}_seconds": round(seconds, 3) for what, seconds in self.trainer.seconds.items()},
            "step_seconds": round(time.perf_counter() - self._step_began, 3),
            **gpu.measured(),
        }

    def _metrics(self, step: int, total: int, logs: dict[str, Any]) -> dict[str, Any]:
        """Bedrock's names, then OpenAI's, then ours."""
        advantages = [one for one in self.trainer.advantages if one is not None]
        sampled = self._rewards.latest if self.trainer.is_first_update else []
        evaluated = self._validation if step in self.history.evaluations else None
        took = self.trainer.seconds
        full = time.perf_counter() - self._step_began
        data: dict[str, Any] = {
            "step": step,
            "total_steps": total,
            "critic_rewards_mean": logs.get("reward"),
            "critic_advantages_mean": sum(advantages) / len(advantages) if advantages else 0.0,
            "actor_entropy": logs.get("entropy"),
            "actor_pg_loss": logs["loss"],
            "actor_grad_norm": logs.get("grad_norm"),
            "response_length_mean": logs["completions/mean_length"],
            "train_mean_reward": logs.get("reward"),
            "timing": {
                "step": {
                    "sampling": round(took["sampling"], 3),
                    "grading": round(took["grading"], 3),
                    "training": round(took["training"], 3),
                    "eval": round(evaluated.seconds, 3) if evaluated else 0.0,
                    "full_iteration": round(full, 3),
                }
            },
            "errors": failures(sampled),
            "scores": {
                "graders": [
                    {"name": name, "train_reward_mean": mean}
                    for name, mean in mean_metrics(self._rewards.latest).items()
                ],
                **({"train_reward_mean": logs["reward"]} if logs.get("reward") is not None else {}),
            },
            "model_graders_token_usage": judges_tokens(
                train=sampled, evaluated=evaluated.latest if evaluated else ()
            ),
            "reward_std": logs.get("reward_std"),
            "frac_reward_zero_std": logs.get("frac_reward_zero_std"),
            "replaced_groups": logs.get("replaced_groups"),
            "completions_clipped_ratio": logs.get("completions/clipped_ratio"),
            "clip_ratio": logs.get("clip_ratio/region_mean", logs.get("cispo_clip_ratio")),
            "kl": logs.get("kl"),
            "skipped_updates": logs.get("skipped_updates"),
            "sampling_logp_difference": logs.get("sampling_logp_difference"),
            "step_time": round(full, 3),
            "peak_memory_gb": round(self._peak_gb(), 3),
            **gpu.measured(),
        }
        if evaluated:
            data |= evaluated.figures()
        return {name: value for name, value in data.items() if value is not None}
