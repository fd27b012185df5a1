"""Graders before there is a job: look at a definition, or try it on one sample, as the trainer would."""

import time
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from outcrop.errors import StillRunningError
from outcrop.graders import pipeline
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import ErrorKind, GradedCompletion, Reward
from outcrop.operations import files, grader_rows
from outcrop.operations.bad_request import explain
from outcrop.types.grader import Grader, MultiGrader
from outcrop.types.grader_run import (
    GraderErrors,
    GraderRun,
    GraderRunMetadata,
    ModelTokenUsage,
    RunGrader,
    ValidatedGrader,
    ValidateGrader,
)
from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, ScoreModelGrader

_LONGEST_RUN_SECONDS = 22.0
"""API Gateway waits 29 s for an answer."""

_GRADER: TypeAdapter[Grader] = TypeAdapter(Grader)

# OpenAI has flags for its own kinds of graders. A Lambda function is a program of the customer's, as a
# `python` grader is, so what it does wrong is told by that grader's flags.
_FLAGS: Final[dict[ErrorKind, str]] = {
    "invalid_variable_error": "invalid_variable_error",
    "sample_parse_error": "sample_parse_error",
    "formula_parse_error": "formula_parse_error",
    "model_grader_server_error": "model_grader_server_error",
    "model_grader_refusal_error": "model_grader_refusal_error",
    "model_grader_parse_error": "model_grader_parse_error",
    "judge_throttled": "model_grader_server_error",
    "other_error": "other_error",
    "grader_not_found": "other_error",
    "grader_access_denied": "other_error",
    "grader_exception": "python_grader_runtime_error",
    "grader_timeout": "python_grader_runtime_error",
    "grader_throttled": "python_grader_server_error",
    "grader_unavailable": "python_grader_server_error",
    "invalid_reward": "unresponsive_reward_error",
    "missing_reward": "unresponsive_reward_error",
}


def validate(request: ValidateGrader, project: str) -> ValidatedGrader:
    """The definition as it will be used, its name filled in.

    Raises: APIError that names the field for a grader that no job could work with, or none on the file.
    """
    grader = _read(request.grader)
    pipeline.check(grader, param="grader")
    if request.training_file is not None:
        file = files.resolve({"training_file": request.training_file}, project)["training_file"]
        if file.upload_id:
            raise StillRunningError(
                f"training_file: the parts of '{file.id}' are still being put together. Ask again soon.",
                code="file_not_ready",
            )
        grader_rows.check_first(grader, file, project, param="grader")
    return ValidatedGrader(grader=grader)


def run(request: RunGrader, project: str) -> GraderRun:
    """What the grader makes of one sample. A definition that cannot work is an APIError, as in `validate`; a
    failure on this sample is told in the answer."""
    started = time.monotonic()
    grader = _read(request.grader)
    pipeline.check(grader, param="grader")
    left = _LONGEST_RUN_SECONDS - (time.monotonic() - started)
    completion = GradedCompletion(request.item or {}, request.model_sample, request.tool_calls)
    reward = _grade(grader, completion, left, project)
    is_multi = isinstance(grader, MultiGrader)
    usage = {
        model: ModelTokenUsage(
            prompt_tokens=tokens.prompt_tokens,
            completion_tokens=tokens.completion_tokens,
            total_tokens=tokens.prompt_tokens + tokens.completion_tokens,
            cached_tokens=tokens.cached_tokens,
        )
        for model, tokens in reward.tokens.items()
    }
    return GraderRun(
        reward=0.0 if reward.reward is None else reward.reward,
        metadata=GraderRunMetadata(
            name=grader.name,
            type=grader.type,
            errors=_errors(reward, grader),
            error_message=reward.message,
            execution_time=round(reward.latency_seconds, 6),
            scores={} if is_multi else reward.metrics,
            token_usage=sum(one.total_tokens for one in usage.values()) if usage else None,
            sampled_model_name=next(iter(usage)) if len(usage) == 1 else None,
            explanation=reward.explanation,
        ),
        sub_rewards=reward.metrics if is_multi else {},
        model_grader_token_usage_per_model=usage,
    )


def _read(sent: dict[str, Any]) -> Grader:
    try:
        return _GRADER.validate_python(sent)
    except ValidationError as error:
        raise explain(error, sent, below="grader") from error


def _grade(grader: Grader, completion: GradedCompletion, seconds: float, project: str) -> Reward:
    """By the trainer's own pipeline, in less time: what takes longer than `seconds` is not waited for."""
    grading = GraderPipeline(
        grader,
        concurrency=1,
        timeout_seconds=seconds / 2,
        patience_seconds=seconds,
        backoff_seconds=0.25,
        project=project,
        param="grader",
    )
    try:
        [reward] = grading.grade([completion])
    finally:
        grading.close()
    return reward


def _errors(reward: Reward, grader: Grader) -> GraderErrors:
    if reward.error is None:
        return GraderErrors()
    is_judge = isinstance(grader, ScoreModelGrader | LabelModelGrader | ModelAsJudgeGrader)
    was_given_up = is_judge and reward.error == "grader_timeout"  # which no judge says of itself
    flag = "model_grader_server_error" if was_given_up else _FLAGS[reward.error]
    told: dict[str, Any] = {flag: True}
    if flag == "python_grader_runtime_error":
        told["python_grader_runtime_error_details"] = reward.message
    if flag == "python_grader_server_error":
        told["python_grader_server_error_type"] = reward.error
    if flag == "model_grader_server_error":
        told["model_grader_server_error_details"] = reward.message
    return GraderErrors(**told)
