"""After every step of our own trainer: evaluate, record, tell, save."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from outcrop.training_spec import TrainingSpec
from training_image.trainer import checkpoints, gpu, peak_memory, preflight
from training_image.trainer.errors import failed_writes_as_os_errors
from training_image.trainer.evaluate import Evaluator
from training_image.trainer.grpo import GroupTrainer
from training_image.trainer.rewards import Graded, Rewards
from training_image.trainer.run_report import RunReport, StepFigures

HISTORY = "history.json"
PROMPTS = "prompts.json"
_TIMES_ITS_COST = 20
"""The resume state is written after a step if so many times the seconds as it last took have passed,"""
_MOST_SECONDS = 100.0
"""or so many: SIGKILL follows SIGTERM after 120, and the step before a longer one must be on disk."""
_LONG_SECONDS = 25.0
"""One that takes longer to write, as all weights with their optimizer may, comes less often:"""
_TIMES_A_LONG_ONES_COST = 4
"""so many times as long after it."""


class Reporter(TrainerCallback):
    def __init__(
        self,
        spec: TrainingSpec,
        report: RunReport,
        rewards: Rewards,
        evaluator: Evaluator | None,
        *,
        checkpoint_folder: Path,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Evaluations are `interruptible`."""
        self.was_stopped = False
        """Whether the run left before its last step."""
        self.trainer: GroupTrainer
        """Set by whoever makes the trainer, which needs this callback first."""
        self._spec = spec
        self._report = report
        self._rewards = rewards
        self._evaluator = evaluator
        self._interruptible = interruptible
        self._checkpoint_folder = checkpoint_folder
        self._peak = 0.0
        self._step_began = time.perf_counter()
        self._is_publishing = False
        self._prompts: dict[str, Any] | None = None
        """Where the prompt queue was when the step began; None once the step has changed the weights."""
        self._graded: Sequence[Graded] = ()
        """The completions of the latest step that has ended."""
        self._state_is_due = 0.0
        """When the resume state is written again, by `time.monotonic`."""

    def evaluate(self, step: int) -> None:
        if self._evaluator is not None:
            with self._interruptible():
                made = self._evaluator.evaluate(self.trainer.model)
            self._report.evaluation(step, made)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._step_began = time.perf_counter()
        self._prompts = self.trainer.rollouts.prompts.to_json()
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
        self._prompts, self._graded = None, self._rewards.latest
        if self.trainer.is_first_update:
            self._report.rollouts(step, self._rewards.latest, self.trainer.advantages)
        is_last = step >= numbers.max_steps
        if is_last or step % numbers.eval_interval == 0:
            self.evaluate(step)
        if self._report.stops_early and not is_last:
            is_last = control.should_training_stop = True
            self._report.tell_of_early_end(step)
        # What was sampled is learned from to its end before anything is saved.
        is_over = step % numbers.num_iterations == 0
        control.should_save = is_over
        self._is_publishing = is_last or step % numbers.save_steps == 0
        goes_on = self._report.progress(
            left=0 if is_last else numbers.max_steps - step,
            seconds=time.perf_counter() - self._step_began,
            tokens=self.trainer.completion_tokens if self.trainer.is_first_update else 0,
        )
        if not goes_on and is_over:
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
        step = state.global_step
        figures = self._figures(logs)
        self._report.step(step, figures, self._rewards.latest, is_new=self.trainer.is_first_update)
        if logs.get("out_of_memory"):
            self._report.warn(
                step,
                f"The machine ran out of memory at step {step}: from here on, a prompt's completions are "
                "learned from in two parts, which changes nothing but the time. If one part is still too "
                "much, the job fails.",
            )

    def save(self) -> None:
        """After every step: the policy where it can be served, if it is time, then the resume state, which
        says that it is there. A full disk costs the checkpoint, not the run.
        """
        step = self.trainer.state.global_step
        if self._is_publishing:
            self._report.checkpoint(step, self.trainer.model, self._rewards.latest)
        elif time.monotonic() < self._state_is_due and not self._is_before_an_evaluation(step):
            return
        self._save_state(step)

    def leave(self) -> None:
        """Told to stop where a step, or its evaluation, was waited for: it is given up. The step before it is
        there as if the run had ended after it. If it was the evaluation, its step is published and not more:
        it is taken again from the state that was written before it.
        """
        self.was_stopped = True
        step = self.trainer.state.global_step
        if not step:
            return
        if step not in self._report.history.published:
            self._report.checkpoint(step, self.trainer.model, self._graded)
        if self._prompts is not None and not checkpoints.is_there(self._checkpoint_folder, step):
            self.trainer.rollouts.prompts.restore(self._prompts)
            self._save_state(step)

    def _is_before_an_evaluation(self, step: int) -> bool:
        """Which may take long, and be given up with the step that it is of."""
        numbers = self._spec.hyperparameters
        following = step + numbers.num_iterations
        is_due = following % numbers.eval_interval == 0 or following >= numbers.max_steps
        return is_due and self._evaluator is not None

    def _save_state(self, step: int) -> None:
        began = time.monotonic()
        try:
            checkpoints.save(self._checkpoint_folder, step, self._write_state)
        except OSError as error:
            self._report.warn_of_full_disk("resume state", step, error)
        ended = time.monotonic()
        cost = ended - began
        most = _MOST_SECONDS if cost < _LONG_SECONDS else _TIMES_A_LONG_ONES_COST * cost
        self._state_is_due = ended + min(_TIMES_ITS_COST * cost, most)

    def tell_failed_step(self) -> None:
        """The completions of the step that ends the run, and why they have no reward: none taught."""
        latest = self._rewards.latest
        self._report.rollouts(self.trainer.state.global_step + 1, latest, [None] * len(latest))

    def finish(self, folder: Path) -> None:
        """As `RunReport.finish`."""
        self._report.finish(folder, peak_gb=self._peak_gb())

    def _peak_gb(self) -> float:
        """Of all steps so far: what torch tells of a GPU is the latest step's."""
        self._peak = max(self._peak, peak_memory.used_gb())
        return self._peak

    def _write_state(self, folder: Path) -> None:
        with failed_writes_as_os_errors():
            self.trainer.write_state(folder)
        (folder / HISTORY).write_text(json.dumps(self._report.history.to_json()))
        (folder / PROMPTS).write_text(json.dumps(self.trainer.rollouts.prompts.to_json()))
        preflight.describe(self._spec, folder)

    def _figures(self, logs: dict[str, Any]) -> StepFigures:
        """TRL's names to ours."""
        advantages = [one for one in self.trainer.advantages if one is not None]
        device = gpu.measured()
        return StepFigures(
            reward=logs.get("reward"),
            reward_std=logs.get("reward_std"),
            zero_variance=logs.get("frac_reward_zero_std"),
            mean_advantage=sum(advantages) / len(advantages) if advantages else 0.0,
            mean_length=logs["completions/mean_length"],
            cut_off=logs.get("completions/clipped_ratio"),
            entropy=logs.get("entropy", logs.get("sampled_entropy")),
            loss=logs["loss"],
            grad_norm=logs.get("grad_norm"),
            learning_rate=logs.get("learning_rate"),
            clip_ratio=logs.get("clip_ratio/region_mean", logs.get("cispo_clip_ratio")),
            kl=logs.get("kl"),
            seconds={**self.trainer.seconds, "full_iteration": time.perf_counter() - self._step_began},
            others={
                "replaced_groups": logs.get("replaced_groups"),
                "skipped_updates": logs.get("skipped_updates"),
                "sampling_logp_difference": logs.get("sampling_logp_difference"),
                "peak_memory_gb": round(self._peak_gb(), 3),
                **device,
            },
            drawn=device,
        )
