"""`fine_tuning/alpha/graders`: a grader tried on one sample, or looked at only."""

from typing import Any

from pydantic import BaseModel

from outcrop.types.grader import Grader


class RunGrader(BaseModel):
    grader: dict[str, Any]
    """Read by `operations.graders`, which names the field at fault without pydantic's names for the types."""
    model_sample: str
    item: dict[str, Any] | None = None
    tool_calls: list[dict[str, Any]] = []
    """Outcrop's: those of the sample, as in a chat completion's message."""


class ValidateGrader(BaseModel):
    grader: dict[str, Any]
    training_file: str | None = None
    """Outcrop's: what the grader's templates read has to be in this file's first rows."""


class ValidatedGrader(BaseModel):
    grader: Grader


class GraderErrors(BaseModel):
    """Why there is no reward: at most one is true."""

    formula_parse_error: bool = False
    sample_parse_error: bool = False
    truncated_observation_error: bool = False
    unresponsive_reward_error: bool = False
    invalid_variable_error: bool = False
    other_error: bool = False
    python_grader_server_error: bool = False
    python_grader_server_error_type: str | None = None
    python_grader_runtime_error: bool = False
    python_grader_runtime_error_details: str | None = None
    model_grader_server_error: bool = False
    model_grader_refusal_error: bool = False
    model_grader_parse_error: bool = False
    model_grader_server_error_details: str | None = None


class ModelTokenUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    """Of the prompt's."""


class GraderRunMetadata(BaseModel):
    name: str
    type: str
    errors: GraderErrors
    error_message: str | None = None
    """Outcrop's: the error in words."""
    execution_time: float
    """Seconds."""
    scores: dict[str, float]
    """The other numbers of a Lambda function's answer (`metrics_list`)."""
    token_usage: int | None = None
    """Of all judges, prompts and completions; null if none was asked."""
    sampled_model_name: str | None = None
    """The judge that was asked, by the name of the model behind it; null if there were several, or none."""
    explanation: str | None = None
    """Outcrop's: the steps to the judges' verdicts; what a judge said instead, where there is none."""


class GraderRun(BaseModel):
    reward: float
    """0.0 if there is none, which one of `metadata.errors` then says: the API has no null here. A training
    run leaves such a completion out."""
    metadata: GraderRunMetadata
    sub_rewards: dict[str, float]
    """Of a `multi` grader's parts, by key."""
    model_grader_token_usage_per_model: dict[str, ModelTokenUsage] = {}
