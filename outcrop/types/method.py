"""How a job trains: `method.reinforcement`, its grader and its hyperparameters, in OpenAI's spelling."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from outcrop.types.grader import Grader

Auto = Literal["auto"]


class ReinforcementHyperparameters(BaseModel):
    """The first seven are OpenAI's, with OpenAI's ranges; those after them are ours, in TRL's spelling."""

    model_config = {"extra": "forbid"}

    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    """Prompts in one step."""
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] = "auto"
    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    compute_multiplier: Auto | Annotated[float, Field(gt=1e-5, le=10)] = "auto"
    """Scales the completions sampled of each prompt."""
    eval_interval: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Steps between two evaluations on the validation file."""
    eval_samples: Auto | Annotated[int, Field(ge=1)] = "auto"
    """Completions of each validation prompt in one evaluation."""
    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"

    num_generations: Auto | Annotated[int, Field(ge=2, le=64)] = "auto"
    """Completions sampled of each prompt in a step; overrides `compute_multiplier`."""
    max_completion_length: Auto | Annotated[int, Field(ge=1, le=131_072)] = "auto"
    """Tokens of the longest completion."""
    temperature: Auto | Annotated[float, Field(gt=0, le=2)] = "auto"
    beta: Auto | Annotated[float, Field(ge=0, le=10)] = "auto"
    """Weight of the KL term that ties the policy to the reference model."""


class Reinforcement(BaseModel):
    grader: Grader
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()
    response_format: dict[str, Any] | None = None


class Method(BaseModel):
    """Only the block that `type` names counts; clients may send others beside it."""

    type: Literal["reinforcement"]
    reinforcement: Reinforcement
