"""How a job trains: `method.reinforcement`, its grader and its hyperparameters, in OpenAI's spelling."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from outcrop.types.grader import Grader


def _whole(value: Any) -> Any:
    """3.0 is an integer, says JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Auto = Literal["auto"]
# Strict, as OpenAI's schema is: "0.5" is no number, and neither is true.
Integer = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


_EPSILONS = {"cispo": ("epsilon_high",), "sapo": (), "vespo": ()}
"""Which of them a loss knows; others know both."""


class ReinforcementHyperparameters(BaseModel):
    """The first seven are OpenAI's, with OpenAI's ranges; those after them are ours, in TRL's spelling
    where TRL has them."""

    model_config = {"extra": "forbid"}

    batch_size: Auto | Annotated[Integer, Field(ge=1, le=256)] = "auto"
    """Prompts in one step."""
    learning_rate_multiplier: Auto | Annotated[Number, Field(gt=0)] = "auto"
    n_epochs: Auto | Annotated[Integer, Field(ge=1, le=50)] = "auto"
    compute_multiplier: Auto | Annotated[Number, Field(gt=1e-5, le=10)] = "auto"
    """Scales the completions sampled of each prompt."""
    eval_interval: Auto | Annotated[Integer, Field(ge=1)] = "auto"
    """Steps between two evaluations on the validation file."""
    eval_samples: Auto | Annotated[Integer, Field(ge=1)] = "auto"
    """Completions drawn of each validation prompt in one evaluation, beside the likeliest one."""
    reasoning_effort: Literal["default", "none", "low", "medium", "high"] = "default"
    """How long the policy thinks before it answers, as its chat template has it; `none` is ours."""

    finetuning_type: Literal["lora", "full"] = "lora"
    """What learns: an adapter on top of the base model, or all weights."""
    num_generations: Auto | Annotated[Integer, Field(ge=2, le=64)] = "auto"
    """Completions sampled of each prompt in a step; overrides `compute_multiplier`."""
    max_completion_length: Auto | Annotated[Integer, Field(ge=1, le=131_072)] = "auto"
    """Tokens of the longest completion."""
    temperature: Auto | Annotated[Number, Field(gt=0, le=2)] = "auto"
    beta: Auto | Annotated[Number, Field(ge=0, le=10)] = "auto"
    """Weight of the KL term that ties the policy to the reference model."""
    early_stopping_patience: Auto | Annotated[Integer, Field(ge=1)] = "auto"
    """Evaluations in a row that gain nothing beyond noise after which training ends; `auto` waits for the
    last step."""
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "gspo", "luspo", "sapo", "vespo"] = "dapo"
    """How completions of different length, and policies that have moved on, are weighed; `gspo` is TRL's
    `grpo` at `importance_sampling_level` "sequence"."""
    epsilon: Auto | Annotated[Number, Field(gt=0, lt=1)] = "auto"
    """How far below 1 a token's probability ratio counts; it differs from 1 only with `num_iterations`."""
    epsilon_high: Auto | Annotated[Number, Field(gt=0, le=100)] = "auto"
    """How far above 1 it counts; of `cispo` the largest ratio itself."""
    num_iterations: Auto | Annotated[Integer, Field(ge=1, le=16)] = "auto"
    """Steps that learn from the same completions."""
    overlong_completions: Literal["grade", "mask"] = "grade"
    """What is done with completions that `max_completion_length` cut off: they are learned from by their
    reward like all others, or not learned from."""
    dynamic_sampling_budget: Auto | Annotated[Number, Field(ge=0, le=8)] = "auto"
    """Fresh prompts that a step may sample in place of those whose completions all get one reward, as a share
    of `batch_size`."""
    grader_warning_limit: Auto | Annotated[Number, Field(ge=0, le=1)] = "auto"
    """Share of the latest ten steps' completions without a reward above which an event warns."""
    grader_failure_limit: Auto | Annotated[Number, Field(ge=0, le=1)] = "auto"
    """Share of one step's completions without a reward above which the job fails."""
    budget_usd: Auto | Annotated[Number, Field(gt=0)] = "auto"
    """Dollars that training may cost over all attempts; then the job is paused."""

    @field_validator("epsilon", "epsilon_high")
    @classmethod
    def _is_known_to_the_loss(cls, value: Auto | float, info: ValidationInfo) -> Auto | float:
        loss = info.data.get("loss_type", "dapo")
        if value == "auto":
            return value
        if info.field_name not in _EPSILONS.get(loss, (info.field_name,)):
            raise PydanticCustomError("no_epsilon", "the loss '{loss}' does not use it", {"loss": loss})
        if loss == "cispo" and float(value) < 1:
            raise PydanticCustomError(
                "low_epsilon", "with cispo, it is the largest ratio itself, and should be 1 or more"
            )
        return value


class Reinforcement(BaseModel):
    grader: Grader
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()
    response_format: dict[str, Any] | None = None
    """The form that completions are held to, as in Chat Completions: text, json_object or json_schema."""


class Method(BaseModel):
    """Only the block that `type` names counts; clients may send others beside it."""

    type: Literal["reinforcement"]
    reinforcement: Reinforcement
