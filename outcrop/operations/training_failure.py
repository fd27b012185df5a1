"""Why a training job ended, from what SageMaker and Step Functions say. Pure: text in, verdict out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.training_spec import GRADER_FAILING
from outcrop.types.fine_tuning_job import JobError

# "AlgorithmError: <text of /opt/ml/output/failure>, exit code: 1"
_WRAPPER = re.compile(r"^AlgorithmError:\s*|[\s,;]*\bexit code:? -?\d+\s*$", re.IGNORECASE)
_EXIT_CODE = re.compile(r"\bexit code:? (-?\d+)", re.IGNORECASE)
# The kernel or the host ended the process (128 + 9, 128 + 15, as a shell says it; -9, -15, as Python does).
_KILLED = {"137", "143", "-9", "-15"}
# What stands in for the trainer's own words when it had no time to write any.
_NO_REASON = re.compile(
    r"|killed by signal.*|ExecuteUserScriptError:?|Please refer to the logs.*", re.IGNORECASE
)


@dataclass(frozen=True)
class Failure:
    error: JobError
    is_infrastructure: bool = False
    """The machine failed, not the training: the same job may well succeed on another."""


def of_description(description: Mapping[str, Any]) -> Failure:
    """Why the training job of a DescribeTrainingJob answer did not complete."""
    if description["TrainingJobStatus"] == "Stopped":
        return _of_stopped(description)
    reason = str(description.get("FailureReason", "")).strip()
    exit_code = _EXIT_CODE.search(reason)
    text = _WRAPPER.sub("", reason).strip()
    if reason.startswith("InternalServerError"):
        return Failure(_error("infrastructure_failure", f"The training machine failed: {text}"), True)
    if reason.startswith("CapacityError"):
        return Failure(_error("capacity_unavailable", _capacity(text.removeprefix("CapacityError:").strip())))
    if _NO_REASON.fullmatch(text) and exit_code and exit_code[1] in _KILLED:
        message = (
            f"The trainer was killed (exit code {exit_code[1]}) and left no reason. It may have run out of "
            "memory: a smaller batch_size, num_generations or max_completion_length needs less."
        )
        return Failure(_error("infrastructure_failure", message), True)
    if text.startswith(f"{GRADER_FAILING}: "):
        return Failure(_error(GRADER_FAILING, text.removeprefix(f"{GRADER_FAILING}: ")))
    return Failure(_error("training_failed", text or "The trainer ended without giving a reason."))


def of_create(error: str, cause: str) -> Failure:
    """Why there is no training job at all; `error` and `cause` are those of the state's Catch."""
    if "ResourceLimitExceeded" in error:
        message = (
            "The account's SageMaker quota does not allow this training job. Ask for a higher one in Service "
            f"Quotas, or deploy with another instance_type. SageMaker says: {cause}"
        )
        return Failure(_error("quota_exceeded", message))
    if "Capacity" in error:
        return Failure(_error("capacity_unavailable", _capacity(cause)))
    return Failure(
        _error("training_not_started", f"SageMaker did not start the training job: {cause or error}")
    )


def _of_stopped(description: Mapping[str, Any]) -> Failure:
    if description.get("SecondaryStatus") == "MaxRuntimeExceeded":
        limit = description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        message = (
            f"Training did not end within {limit} seconds, the limit of this deployment "
            "(max_runtime_seconds). Checkpoints saved until then can be used as models."
        )
        return Failure(_error("max_runtime_exceeded", message))
    return Failure(_error("training_stopped", "The training job was stopped outside the API."))


def _capacity(said: str) -> str:
    return (
        "AWS has no machine of the requested type free at the moment: create the job again later. "
        f"SageMaker says: {said}"
    )


def _error(code: str, message: str) -> JobError:
    return JobError(code=code, message=message)
