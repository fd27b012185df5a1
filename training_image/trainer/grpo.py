"""TRL's `GRPOTrainer`, adapted: its advantages and its loss, our sampling, our log-probabilities, our
rewards.

A micro-batch is a group, the completions of one prompt, so that the prompt is computed once and a group whose
rewards are all equal, which has no gradient, costs nothing.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache
from peft import PeftModel
from safetensors.torch import save_model
from torch import Tensor
from torch.nn.functional import pad
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from outcrop.hyperparameters import TrainingHyperparameters
from training_image.trainer.errors import TrainingError, is_out_of_memory
from training_image.trainer.groups import Group, figures, halves, ids
from training_image.trainer.packing import log_probabilities
from training_image.trainer.rollouts import Rollouts
from training_image.trainer.schedule import BETAS, rate
from training_image.trainer.team import Team

SAMPLER_GAP = {torch.float32: 0.02, torch.bfloat16: 0.3}
"""Mean gap between the sampler's and the trainer's log-probability of a token beyond which they are not one
policy.
"""


def sampler_gap(model: Any) -> float:
    """A GPU multiplies in bfloat16 whatever the weights are in."""
    dtype = torch.bfloat16 if model.device.type == "cuda" else model.dtype
    return SAMPLER_GAP.get(dtype, max(SAMPLER_GAP.values()))


def config(hyperparameters: TrainingHyperparameters, *, seed: int, folder: Path) -> GRPOConfig:
    on_gpu = torch.cuda.is_available()
    return GRPOConfig(
        output_dir=str(folder),
        seed=seed,
        max_steps=hyperparameters.max_steps,
        per_device_train_batch_size=hyperparameters.num_generations,
        gradient_accumulation_steps=hyperparameters.prompts_per_step,
        num_generations=hyperparameters.num_generations,
        max_completion_length=hyperparameters.max_completion_length,
        temperature=hyperparameters.temperature,
        beta=hyperparameters.beta,
        learning_rate=hyperparameters.learning_rate,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        loss_type=hyperparameters.loss_type,
        importance_sampling_level=hyperparameters.importance_sampling_level,
        scale_rewards=hyperparameters.scale_rewards,
        epsilon=hyperparameters.epsilon,
        epsilon_high=hyperparameters.epsilon_high,
        num_iterations=hyperparameters.num_iterations,
        mask_truncated_completions=hyperparameters.overlong_completions == "mask",
        shuffle_dataset=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        dataloader_pin_memory=on_gpu,
        gradient_checkpointing=on_gpu,
    )


class GroupTrainer(GRPOTrainer):
    args: GRPOConfig
    model: Any
    processing_class: Any
    num_generations: int

    def __init__(
        self,
        *,
        rollouts: Rollouts,
        save: Callable[[], None],
        team: Team | None = None,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
        **arguments: Any,
    ) -> None:
        """`rollouts` say which rows a step trains on, not the dataset, which only counts. `save` is called
        after a step for which a callback asked for a checkpoint. `team`: the machine's other GPUs. Sampling
        and grading, which change no weight, are `interruptible`.
        """
        super().__init__(reward_funcs=[_grader], **arguments)
        self.remove_callback(PrinterCallback)  # metrics are events; a log would say the same less well
        # What balances a mixture's experts would move an adapter elsewhere, for the router is frozen; and
        # rewards are what all weights learn from, too.
        self.aux_loss_enabled = False
        self.rollouts = rollouts
        self._padding: Any = self._tokenizer.pad_token_id
        self._on_save = save
        self._interruptible = interruptible
        self._trunks: dict[tuple[int, ...], Tensor | None] = {}
        """Of the latest step's sequences, what sampling has left for their training."""
        self._team = team
        self._is_learning = False
        """Whether the micro-batch has come to its loss."""
        self._in_halves = False
        """Whether groups are learned from in two parts, since memory has not been enough for a whole one."""
        self._figures: dict[str, float] = {}
        """Of the latest sampling."""
        self.is_first_update = True
        """Whether the latest step is the first that learns from its completions: with `num_iterations` others
        follow."""
        self.advantages: list[float | None] = []
        """Of the latest step's completions; None for those that were not learned from."""
        self.completion_tokens = 0
        """That the latest step learned from."""
        self.seconds = {"sampling": 0.0, "grading": 0.0, "training": 0.0}
        """Of the step so far; whoever reports a step sets them back to 0."""

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, Any]:
        """The group at the micro-batch's place. A step's groups are sampled once, for all its updates."""
        groups = self.args.gradient_accumulation_steps
        place = self._step % (groups * self.num_iterations)
        if is_new := place == 0 or self._buffered_inputs is None:
            self._trunks = {}  # not beside what sampling needs
            with self._interruptible():
                sampled = self.rollouts.step(
                    self.model,
                    self.state.global_step,
                    prompts=groups,
                    completions=self.num_generations,
                    seed=self.args.seed,
                )
            self._trunks = {
                (*group.prompt, *ids(one)): one.trunk for group in sampled for one in group.completions
            }
            self.seconds |= self.rollouts.seconds
            self._buffered_inputs = self._inputs(sampled)
        if place % groups == 0:
            self.is_first_update = place == 0
            for name, value in self._figures.items():
                self._metrics["train"][name].append(value)
            if self._team:
                self._team.hand_out(self.model, self._buffered_inputs if is_new else None)
        return self._buffered_inputs[place % groups]

    def _inputs(self, sampled: Sequence[Group]) -> list[dict[str, Any]]:
        """Of the groups to learn from, as many as the step has prompts: those whose rewards differ first."""
        places = sorted(range(len(sampled)), key=lambda place: not sampled[place].differs)
        kept = {*places[: self.args.gradient_accumulation_steps]}
        self.advantages, made = [], []
        for place, group in enumerate(sampled):
            advantages: dict[int, float] = {}
            if place in kept:
                advantages = group.advantages(
                    scaled=self.args.scale_rewards == "group",
                    without_cut_off=self.args.mask_truncated_completions,
                )
                made.append(group.inputs(advantages, self._padding, self.accelerator.device))
            self.advantages += [advantages.get(one) for one in range(len(group.completions))]
        tokens = torch.stack([one["completion_mask"].sum() for one in made]).sum()
        self.completion_tokens = int(tokens)
        self._figures = figures(sampled, len(kept))
        return [{**one, "num_items_in_batch": tokens} for one in made]

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any) -> Tensor:
        before = self.seconds["sampling"] + self.seconds["grading"]
        started = time.perf_counter()
        is_last = (self._step + 1) % self.args.gradient_accumulation_steps == 0
        self._is_learning, loss = False, None
        try:
            loss = super().training_step(model, inputs, num_items_in_batch)
        except Exception as error:
            if self._in_halves or not (self._is_learning and is_out_of_memory(error)):
                raise
        if loss is None:  # not before the error is gone, which holds what the loss was made of
            loss = self._learn_in_halves(model)
            self._step += 1  # as TRL's training step does
        if is_last and self._team:
            for their_loss, measured in self._team.add_gradients(self.model):
                loss = loss + their_loss
                for name, values in measured.items():
                    self._metrics["train"][name] += values
        inside = self.seconds["sampling"] + self.seconds["grading"] - before
        self.seconds["training"] += time.perf_counter() - started - inside
        return loss

    def _learn_in_halves(self, model: Any) -> Tensor:
        """The step's gradient up to the micro-batch that failed, anew: it may have left a part of its own
        there. Returns the loss of that micro-batch."""
        self._in_halves = True
        self._metrics["train"]["out_of_memory"].append(1.0)
        model.zero_grad()
        clear_device_cache(garbage_collection=True)
        loss = torch.zeros(())
        place = self._step % self.args.gradient_accumulation_steps
        for at, inputs in enumerate(self._buffered_inputs[: place + 1]):
            if not self._team or self._team.is_own(at):
                loss = self.compute_loss(model, inputs)
                self.accelerator.backward(loss)
        return loss.detach()

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._is_learning = True
        if self._team and not self._team.is_own(self._step % self.args.gradient_accumulation_steps):
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        if not self._in_halves or len(inputs["advantages"]) < 2:
            return self._loss(model, inputs)
        if "halves" not in inputs:  # kept for later updates, with what they are compared with
            inputs["halves"] = halves(inputs, self.loss_type)
        (first_weight, first), (weight, second) = inputs["halves"]
        loss = first_weight * self._loss(model, first)
        self.accelerator.backward(loss)  # before the second half takes its memory
        return loss.detach() + weight * self._loss(model, second)

    def _loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        advantages = inputs["advantages"]
        if not len(advantages) or (self.beta == 0.0 and not advantages.any()):
            # Too few of the group have a reward, or all rewards are equal: there is no gradient to compute.
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        if self.beta != 0.0 and "ref_per_token_logps" not in inputs:
            inputs["ref_per_token_logps"] = self._reference_logprobs(inputs)
        loss = super()._compute_loss(model, inputs)
        if "old_per_token_logps" not in inputs:
            self._check_sampler(inputs)
            inputs["old_per_token_logps"] = self._logprobs  # what later updates are compared with
        return loss

    def _reference_logprobs(self, inputs: dict[str, Tensor]) -> Tensor:
        """By the model without its adapter, or by TRL's copy of what it was where there is none. It has no
        layer that learns, so what sampling has left is not for it."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        policy: Any = self.accelerator.unwrap_model(self.model)
        model = policy if self.ref_model is None else self.ref_model
        checkpointing: Any = self.args.gradient_checkpointing_kwargs
        with (
            torch.no_grad(),
            disable_gradient_checkpointing(self.model, checkpointing),
            policy.disable_adapter() if model is policy else nullcontext(),
        ):
            trunks, self._trunks = self._trunks, {}
            width = inputs["completion_ids"].shape[1]
            logprobs = self._get_per_token_logps_and_entropies(model, ids, mask, width)[0]
            self._trunks = trunks
        return logprobs

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if is_packable(self.model.config):
            rows = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
            lengths = attention_mask[:, -logits_to_keep:].sum(dim=1).tolist()
            prompts = [row[: len(row) - length] for row, length in zip(rows, lengths, strict=True)]
            completions = [row[len(row) - length :] for row, length in zip(rows, lengths, strict=True)]
            known = [self._trunks.get(tuple(row)) for row in rows]
            trunks = [trunk for trunk in known if trunk is not None]
            with self.accelerator.autocast():
                logprobs, entropies = log_probabilities(
                    self.ref_model if model is self.ref_model else self.model,
                    prompts,
                    completions,
                    self.temperature,
                    trunks if len(trunks) == len(rows) else None,
                )
            scored = _padded(logprobs, logits_to_keep), _padded(entropies, logits_to_keep), None
        else:
            scored = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        self._logprobs = scored[0].detach()
        return scored

    def _check_sampler(self, inputs: dict[str, Tensor]) -> None:
        """That completions came from the policy in training, adapter included (unslothai/unsloth#8701). Those
        of a form that the sampler tells nothing of are checked where they are sampled."""
        mask, told = inputs["completion_mask"].bool(), inputs["sampling_per_token_logps"]
        if self._logprobs[mask].isnan().any():
            raise FloatingPointError("the log-probabilities of a step are not numbers")
        known = mask & ~told.isnan()
        if not known.any():
            return
        gap = (self._logprobs - told)[known].abs().mean().item()
        self._metrics["train"]["sampling_logp_difference"].append(gap)
        bound = sampler_gap(self.model)
        if gap > bound:
            raise TrainingError(
                "Completions are not sampled from the policy in training: the log-probability of a "
                f"token differs by {gap:.3f} on average (rounding: at most {bound}). Was what trains used?"
            )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        stepped: Any = optimizer or self.optimizer
        self.lr_scheduler = LambdaLR(stepped, lambda update: rate(update, num_training_steps))
        return self.lr_scheduler

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if norm is not None and not math.isfinite(norm):
            model.zero_grad()  # AdamW passes over parameters without a gradient: the step changes nothing
            self._metrics["train"]["skipped_updates"].append(1.0)
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._on_save()

    def write_state(self, folder: Path) -> None:
        """All that `train(resume_from_checkpoint=folder)` continues from, what learns first of all."""
        if isinstance(self.model, PeftModel):
            self.model.save_pretrained(str(folder))
        else:  # by the names that they are loaded by: transformers saves experts by others
            save_model(self.model, str(folder / SAFE_WEIGHTS_NAME))
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))


class FollowingTrainer(GroupTrainer):
    """On a further GPU: gradients of groups that were sampled, graded and compared elsewhere."""

    def __init__(self, **arguments: Any) -> None:
        nothing: Any = None
        super().__init__(
            rollouts=nothing,
            save=lambda: None,
            **arguments,
        )
        self.current_gradient_accumulation_steps = self.args.gradient_accumulation_steps
        self._prepared = self.accelerator.prepare_model(self.model)

    def compute(self, batches: Sequence[dict[str, Any]] | None) -> tuple[float, dict[str, list[float]]]:
        """Add to the gradients. The loss, and what was measured on the way, by name. None: of the latest
        batches once more."""
        device = self.accelerator.device
        if batches is not None:
            self._buffered_inputs = [
                {name: one.to(device) if isinstance(one, Tensor) else one for name, one in batch.items()}
                for batch in batches
            ]
        self._step = 0
        loss = sum(self.training_step(self._prepared, {}, None).item() for _ in self._buffered_inputs)
        measured = {name: [*values] for name, values in self._metrics["train"].items() if name != "step_time"}
        self._metrics["train"].clear()
        return loss, measured

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        return self._buffered_inputs[self._step]


def is_packable(model_config: Any) -> bool:
    """A tree of tokens needs a mask of its own in every layer, which sliding windows and flash attention do
    not take.
    """
    layers = getattr(model_config, "layer_types", None) or ["full_attention"]
    return model_config._attn_implementation.startswith("sdpa") and set(layers) == {"full_attention"}


def _padded(rows: list[Tensor], width: int) -> Tensor:
    return torch.stack([pad(row, (0, width - len(row))) for row in rows])


def _grader(**_: Any) -> list[float | None]:
    """TRL wants a reward function; `Rewards` stands in for it."""
    raise AssertionError("rewards come from `rewards`")
