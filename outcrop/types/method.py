"""How a job trains: `method.reinforcement`, its grader and its hyperparameters, in OpenAI's spelling."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from outcrop.types.grader import Grader


def _whole(value: Any) -> Any:
    """3.0 is an integer, says JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Auto = Literal["auto"]
# Strict, as OpenAI's schema is: "0.5" is no number, and neither is true.
Integer = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


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
    grader_warning_limit: Auto | Annotated[Number, Field(ge=0, le=1)] = "auto"
    """Share of the latest ten steps' completions without a reward above which an event warns."""
    grader_failure_limit: Auto | Annotated[Number, Field(ge=0, le=1)] = "auto"
    """Share of one step's completions without a reward above which the job fails."""
    budget_usd: Auto | Annotated[Number, Field(gt=0)] = "auto"
    """Dollars that training may cost over all attempts; then the job is paused."""


class Reinforcement(BaseModel):
    grader: Grader
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()
    response_format: dict[str, Any] | None = None
    """The form that completions are held to, as in Chat Completions: text, json_object or json_schema."""


class Method(BaseModel):
    """Only the block that `type` names counts; clients may send others beside it."""

    type: Literal["reinforcement"]
    reinforcement: Reinforcement
