"""What is "auto" becomes numbers, and OpenAI's spelling becomes TRL's. Pure."""

import math
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel as Schema

from outcrop.base_models import BaseModel
from outcrop.types.base_model import Attention
from outcrop.types.method import ReinforcementHyperparameters

Number = TypeVar("Number", int, float)

_LORA_RATE_OVER_FULL = 20
"""What suits LoRA is ten times what suits all weights (https://thinkingmachines.ai/blog/lora/), where an
adapter counts once; ours, whose `lora_alpha` is twice its rank, counts twice."""


class TrainingHyperparameters(Schema):
    """Everything the trainer needs as a number; names are TRL's where TRL has one."""

    model_config = {"frozen": True}

    max_steps: int
    prompts_per_step: int
    num_generations: int
    learning_rate: float
    max_completion_length: int
    temperature: float
    beta: float
    loss_type: str
    importance_sampling_level: str
    scale_rewards: str
    epsilon: float
    epsilon_high: float
    num_iterations: int
    overlong_completions: str
    dynamic_sampling_budget: float
    """Fresh prompts in a step at most, as a share of `prompts_per_step`."""
    eval_interval: int
    eval_samples: int
    save_steps: int
    early_stopping_patience: int | None
    """None: the last step is waited for."""
    lora_r: int
    """0: there is no adapter, and all weights learn."""
    lora_layers: int | None
    lora_targets: tuple[str, ...] = ()
    """Linear layers by their names; all of the decoder's if empty."""
    lora_parameters: tuple[str, ...] = ()
    """Parameters outside of linear layers, by the ends of their names."""
    attention: Attention = "sdpa"
    reasoning_effort: str
    grader_warning_limit: float
    grader_failure_limit: float

    @property
    def learns_all_weights(self) -> bool:
        return self.lora_r == 0


class _Loss(NamedTuple):
    """A loss in TRL's words, with the clipping that its paper or TRL recommends."""

    loss_type: str
    importance_sampling_level: str = "token"
    scale_rewards: str = "group"
    epsilon: float = 0.2
    epsilon_high: float = 0.2


_LOSSES = {
    "dapo": _Loss("dapo", epsilon_high=0.28),  # arXiv 2503.14476: "clip-higher"
    "grpo": _Loss("grpo"),
    "dr_grpo": _Loss(
        "dr_grpo", scale_rewards="none"
    ),  # 2503.20783: by the deviation, easy and hard weigh more
    "bnpo": _Loss("bnpo"),
    "cispo": _Loss("cispo", epsilon_high=5.0),  # 2510.13786
    "gspo": _Loss("grpo", "sequence", epsilon=3e-4, epsilon_high=4e-4),  # 2507.18071
    "luspo": _Loss("luspo", "sequence", epsilon=3e-4, epsilon_high=4e-4),  # gspo, less its bias of length
    "sapo": _Loss("sapo"),
    "vespo": _Loss("vespo"),
}


def resolve(asked: ReinforcementHyperparameters, model: BaseModel, rows: int) -> TrainingHyperparameters:
    """The numbers a job on `rows` training rows runs with.

    A batch is never larger than the file. `auto` epochs give a small file at least 24 steps (at most 50
    epochs) and a large one a single pass. Evaluations and checkpoints come about five times a run. A grader
    may fail on a tenth of the completions unmentioned, and on half of a step's without failing the job.
    Each batch is learned from in `num_iterations` steps, and a run is interrupted between batches only.
    """
    batch_size = min(rows, _or(asked.batch_size, model.batch_size))
    steps_per_epoch = math.ceil(rows / batch_size)
    epochs = _or(asked.n_epochs, min(50, math.ceil(24 / steps_per_epoch)))
    iterations = _or(asked.num_iterations, 1)
    max_steps = epochs * steps_per_epoch * iterations
    scale = _or(asked.compute_multiplier, 1.0)
    interval = _or(asked.eval_interval, max(1, math.ceil(max_steps / 5)))
    interval = math.ceil(interval / iterations) * iterations
    loss = _LOSSES[asked.loss_type]
    epsilon = _or(asked.epsilon, loss.epsilon)
    is_full = asked.finetuning_type == "full"
    learning_rate = model.learning_rate / (_LORA_RATE_OVER_FULL if is_full else 1)
    return TrainingHyperparameters(
        max_steps=max_steps,
        prompts_per_step=batch_size,
        num_generations=_or(asked.num_generations, max(2, min(64, round(model.num_generations * scale)))),
        learning_rate=learning_rate * _or(asked.learning_rate_multiplier, 1.0),
        max_completion_length=_or(asked.max_completion_length, model.max_completion_length),
        temperature=_or(asked.temperature, 1.0),
        beta=_or(asked.beta, 0.0),
        loss_type=loss.loss_type,
        importance_sampling_level=loss.importance_sampling_level,
        scale_rewards=loss.scale_rewards,
        epsilon=epsilon,
        epsilon_high=_or(asked.epsilon_high, loss.epsilon_high if asked.epsilon == "auto" else epsilon),
        num_iterations=iterations,
        overlong_completions=asked.overlong_completions,
        dynamic_sampling_budget=_or(asked.dynamic_sampling_budget, 1.0),
        eval_interval=interval,
        eval_samples=_or(asked.eval_samples, 1),
        save_steps=interval,
        early_stopping_patience=None
        if asked.early_stopping_patience == "auto"
        else asked.early_stopping_patience,
        lora_r=0 if is_full else model.lora_r,
        lora_layers=None if is_full else model.lora_layers,
        lora_targets=() if is_full else model.lora_targets,
        lora_parameters=() if is_full else model.lora_parameters,
        attention=model.attention,
        reasoning_effort=asked.reasoning_effort,
        grader_warning_limit=_or(asked.grader_warning_limit, 0.1),
        grader_failure_limit=_or(asked.grader_failure_limit, 0.5),
    )


def _or(asked: Number | Literal["auto"], default: Number) -> Number:
    return default if isinstance(asked, str) else asked
