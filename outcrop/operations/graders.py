"""Graders before there is a job: look at a definition, or try it on one sample, as the trainer would."""

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from outcrop.graders import pipeline
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import ErrorKind, GradedCompletion, Reward
from outcrop.operations.bad_request import explain
from outcrop.types.grader import Grader, MultiGrader
from outcrop.types.grader_run import (
    GraderErrors,
    GraderRun,
    GraderRunMetadata,
    RunGrader,
    ValidatedGrader,
    ValidateGrader,
)

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


def validate(request: ValidateGrader) -> ValidatedGrader:
    """The definition as it will be used, its name filled in.

    Raises: APIError that names the field for a grader that no job could work with.
    """
    grader = _read(request.grader)
    pipeline.check(grader, param="grader")
    return ValidatedGrader(grader=grader)


def run(request: RunGrader) -> GraderRun:
    """What the grader makes of one sample. A definition that cannot work is an APIError, as in `validate`; a
    failure on this sample is told in the answer."""
    started = time.monotonic()
    grader = _read(request.grader)
    pipeline.check(grader, param="grader")
    left = _LONGEST_RUN_SECONDS - (time.monotonic() - started)
    reward = _grade(grader, GradedCompletion(request.item or {}, request.model_sample), left)
    is_multi = isinstance(grader, MultiGrader)
    return GraderRun(
        reward=0.0 if reward.reward is None else reward.reward,
        metadata=GraderRunMetadata(
            name=grader.name,
            type=grader.type,
            errors=_errors(reward),
            error_message=reward.message,
            execution_time=round(reward.latency_seconds, 6),
            scores={} if is_multi else reward.metrics,
        ),
        sub_rewards=reward.metrics if is_multi else {},
    )


def _read(sent: dict[str, Any]) -> Grader:
    try:
        return _GRADER.validate_python(sent)
    except ValidationError as error:
        raise explain(error, sent, below="grader") from error


def _grade(grader: Grader, completion: GradedCompletion, seconds: float) -> Reward:
    """By the trainer's own pipeline. A call that takes longer than `seconds` is not waited for."""
    grading = GraderPipeline(grader, concurrency=1, timeout_seconds=seconds / 2, param="grader")
    try:
        return grading.submit(completion).result(seconds)
    except FutureTimeoutError:
        message = (
            f"The grader did not answer within {seconds:.0f} s. A training job waits longer, but every "
            "completion takes that long."
        )
        return Reward(None, "grader_timeout", message, {}, seconds)
    finally:
        grading.close()


def _errors(reward: Reward) -> GraderErrors:
    if reward.error is None:
        return GraderErrors()
    flag = _FLAGS[reward.error]
    told: dict[str, Any] = {flag: True}
    if flag == "python_grader_runtime_error":
        told["python_grader_runtime_error_details"] = reward.message
    if flag == "python_grader_server_error":
        told["python_grader_server_error_type"] = reward.error
    return GraderErrors(**told)
