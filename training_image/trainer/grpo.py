"""TRL's `GRPOTrainer`, adapted: its advantages and its loss, our sampling, our log-probabilities, our
rewards.

A micro-batch is a group, the completions of one prompt, so that the prompt is computed once and a group whose
rewards are all equal, which has no gradient, costs nothing.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PrinterCallback
from transformers.trainer import TRAINER_STATE_NAME
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from outcrop.hyperparameters import TrainingHyperparameters
from training_image.generate import Generated
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.errors import TrainingError
from training_image.trainer.packing import log_probabilities
from training_image.trainer.prompts import PromptQueue
from training_image.trainer.rewards import GradingRound, Rewards
from training_image.trainer.sampler import Sampler
from training_image.trainer.team import Team

SAMPLER_GAP = {torch.float32: 0.02, torch.bfloat16: 0.3}
"""Mean gap between the sampler's and the trainer's log-probability of a token beyond which they are not one
policy.
"""


def sampler_gap(dtype: torch.dtype) -> float:
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
        lr_scheduler_type="constant",
        loss_type="dapo",
        scale_rewards="group",
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
        rows: Sequence[dict[str, Any]],
        prompts: PromptQueue,
        chat: ChatFormat,
        sampler: Sampler,
        sampling: Sampling,
        rewards: Rewards,
        save: Callable[[], None],
        team: Team | None = None,
        **arguments: Any,
    ) -> None:
        """`prompts` says which of `rows` a step trains on, not the dataset, which only counts. `save` is
        called after a step for which a callback asked for a checkpoint. `team`: the machine's other GPUs.
        """
        super().__init__(reward_funcs=[_grader], **arguments)
        self.remove_callback(PrinterCallback)  # metrics are events; a log would say the same less well
        # What balances a mixture's experts would move an adapter elsewhere, for the router is frozen.
        self.aux_loss_enabled = False
        self.prompts = prompts
        self._rows = rows
        self._chat = chat
        self._sampler = sampler
        self._sampling = sampling
        self._rewards = rewards
        self._round: GradingRound
        self._questions: list[dict[str, Any]] = []
        self._has_reward: list[bool] = []
        self._on_save = save
        self._trunks: dict[tuple[int, ...], Tensor | None] = {}
        """Of the latest step's sequences, what sampling has left for their training."""
        self._team = team
        self.advantages: list[float] = []
        """Of the latest step's completions."""
        self.completion_tokens = 0
        """In the latest step."""
        self.seconds = {"sampling": 0.0, "grading": 0.0, "training": 0.0}
        """Of the step so far; whoever reports a step sets them back to 0. Grading counts from when sampling
        has ended: what was graded before cost nothing."""

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """TRL's gives every row the same tools."""
        return [self._chat.tokens(question) for question in self._questions], None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *_: Any, **__: Any
    ) -> tuple[list[list[int]], list[list[float]]]:
        started = time.perf_counter()
        step = self.state.global_step
        samplings = [
            replace(self._sampling, seed=draw_seed(self.args.seed, step, draw))
            for draw in range(len(prompt_ids))
        ]
        made = self._sampler.sample(
            self.model,
            prompt_ids,
            samplings,
            on_end=lambda place, one: self._round.submit(place, self._text(one), one.finish_reason),
        )
        self.seconds["sampling"] += time.perf_counter() - started
        self._trunks |= {(*asked, *_ids(one)): one.trunk for asked, one in zip(prompt_ids, made, strict=True)}
        logprobs = [one.logprobs + ([one.stop[1]] if one.stop else []) for one in made]
        return [_ids(one) for one in made], logprobs

    def _text(self, completion: Generated) -> str:
        return self._chat.text(_ids(completion))

    def _calculate_rewards(
        self,
        inputs: list[dict[str, Any]],
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[Any],
    ) -> Tensor:
        """TRL's own logs the training row when a reward is None; a row must not be in a log."""
        started = time.perf_counter()
        rewards = self._rewards.rewards(self._round, [self._chat.text(ids) for ids in completion_ids])
        self.seconds["grading"] += time.perf_counter() - started
        self._has_reward = [reward is not None for reward in rewards]
        values = [torch.nan if reward is None else reward for reward in rewards]
        return torch.tensor(values, dtype=torch.float32, device=self.accelerator.device)[:, None]

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's, but groups stay together, less what has no reward: TRL shuffles the completions of a step
        before it splits them, and has those without a reward, at advantage 0, count in the step's number of
        tokens, which makes the others weigh less, and in the KL term."""
        place = self._step % self.args.gradient_accumulation_steps
        if place == 0 or self._buffered_inputs is None:
            taken = self.prompts.take(len(generation_batch) // self.num_generations)
            self._questions = [
                question(self._rows, row) for row in taken for _ in range(self.num_generations)
            ]
            self._round = self._rewards.round(self._questions)
            self._trunks = {}
            batch = self._generate_and_score_completions(self._questions)
            self._tell_queue(taken)
            self.advantages = batch["advantages"].tolist()
            device = self.accelerator.device
            groups = [torch.tensor(group, dtype=torch.long, device=device) for group in self._comparable()]
            tokens = torch.stack([batch["completion_mask"][group].sum() for group in groups]).sum()
            self.completion_tokens = int(tokens)
            batch["num_items_in_batch"] = tokens
            self._buffered_inputs = [
                {name: value[group] if value.dim() else value for name, value in batch.items()}
                for group in groups
            ]
        if place == 0 and self._team:
            self._team.hand_out(self.model, self._buffered_inputs)
        return self._buffered_inputs[place]

    def _tell_queue(self, taken: Sequence[int]) -> None:
        rewards = [one.reward.reward for one in self._rewards.latest]
        for group, places in zip(taken, self._comparable(), strict=True):
            if places:
                self.prompts.tell(group, differs=len({rewards[place] for place in places}) > 1)

    def _comparable(self) -> Iterator[list[int]]:
        """Of each group, the places of the completions that have a reward, if there are two to compare."""
        size = self.num_generations
        for start in range(0, len(self._has_reward), size):
            graded = [place for place in range(start, start + size) if self._has_reward[place]]
            yield graded if len(graded) > 1 else []

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any) -> Tensor:
        before = self.seconds["sampling"] + self.seconds["grading"]
        started = time.perf_counter()
        is_last = (self._step + 1) % self.args.gradient_accumulation_steps == 0
        loss = super().training_step(model, inputs, num_items_in_batch)
        if is_last and self._team:
            for their_loss, measured in self._team.add_gradients(self.model):
                loss = loss + their_loss
                for name, values in measured.items():
                    self._metrics["train"][name] += values
        inside = self.seconds["sampling"] + self.seconds["grading"] - before
        self.seconds["training"] += time.perf_counter() - started - inside
        return loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        advantages = inputs["advantages"]
        if self._team and not self._team.is_own(self._step % self.args.gradient_accumulation_steps):
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        if not len(advantages) or (self.beta == 0.0 and not advantages.any()):
            # Too few of the group have a reward, or all rewards are equal: there is no gradient to compute.
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        loss = super()._compute_loss(model, inputs)
        self._check_sampler(inputs)
        return loss

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
                    self.model,
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
        """That completions came from the policy in training, adapter included (unslothai/unsloth#8701)."""
        mask = inputs["completion_mask"].bool()
        gap = (self._logprobs - inputs["sampling_per_token_logps"])[mask].abs().mean().item()
        self._metrics["train"]["sampling_logp_difference"].append(gap)
        bound = sampler_gap(self.model.dtype)
        if math.isnan(gap):
            raise FloatingPointError("the log-probabilities of a step are not numbers")
        if gap > bound:
            raise TrainingError(
                "Completions are not sampled from the policy in training: the log-probability of a "
                f"token differs by {gap:.3f} on average (rounding: at most {bound}). Was the adapter used?"
            )

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if norm is not None and not math.isfinite(norm):
            model.zero_grad()  # AdamW passes over parameters without a gradient: the step changes nothing
            self._metrics["train"]["skipped_updates"].append(1.0)
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._on_save()

    def write_state(self, folder: Path) -> None:
        """All that `train(resume_from_checkpoint=folder)` continues from, the adapter first of all."""
        self.model.save_pretrained(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))


class FollowingTrainer(GroupTrainer):
    """On a further GPU: gradients of groups that were sampled, graded and compared elsewhere."""

    def __init__(self, **arguments: Any) -> None:
        nothing: Any = None
        super().__init__(
            rows=[],
            prompts=nothing,
            chat=nothing,
            sampler=nothing,
            sampling=nothing,
            rewards=nothing,
            save=lambda: None,
            **arguments,
        )
        self.current_gradient_accumulation_steps = self.args.gradient_accumulation_steps
        self._prepared = self.accelerator.prepare_model(self.model)

    def compute(self, batches: Sequence[dict[str, Any]]) -> tuple[float, dict[str, list[float]]]:
        """Add to the gradients. The loss, and what was measured on the way, by name."""
        loss = sum(self.training_step(self._prepared, batch, None).item() for batch in batches)
        measured = {name: [*values] for name, values in self._metrics["train"].items() if name != "step_time"}
        self._metrics["train"].clear()
        return loss, measured

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        device = self.accelerator.device
        return {
            name: one.to(device) if isinstance(one, Tensor) else one for name, one in generation_batch.items()
        }


def draw_seed(run: int, step: int, draw: int) -> int:
    """Of the `draw`-th completion of a step, in a run with the seed `run`: it depends neither on what is
    sampled beside it nor on what was drawn before it.
    """
    return int.from_bytes(hashlib.sha256(f"{run}/{step}/{draw}".encode()).digest()[:4])


def is_packable(model_config: Any) -> bool:
    """A tree of tokens needs a mask of its own in every layer, which sliding windows and flash attention do
    not take.
    """
    layers = getattr(model_config, "layer_types", None) or ["full_attention"]
    return model_config._attn_implementation.startswith("sdpa") and set(layers) == {"full_attention"}


def _ids(completion: Generated) -> list[int]:
    """Its tokens, and the stop token that ended it."""
    return completion.token_ids + ([completion.stop[0]] if completion.stop else [])


def _padded(rows: list[Tensor], width: int) -> Tensor:
    return torch.stack([pad(row, (0, width - len(row))) for row in rows])


def _grader(**_: Any) -> list[float | None]:
    """TRL wants a reward function; `GroupTrainer._calculate_rewards` stands in for it."""
    raise AssertionError("rewards come from `rewards`")
