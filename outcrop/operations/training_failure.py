"""Why a training job ended, from what SageMaker and Step Functions say. Pure: text in, verdict out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.operations import quotas
from outcrop.operations.launches import Refusal
from outcrop.operations.machines import Machine
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
_NO_CAPACITY = re.compile(r"CapacityError|insufficient.{0,20}capacity", re.IGNORECASE)
_TIMEOUT = "States.Timeout"


@dataclass(frozen=True)
class Failure:
    """The training failed: the job fails with `error`."""

    error: JobError


@dataclass(frozen=True)
class MachineFailure(Failure):
    """The machine failed, not the training: the same job may well succeed on another."""


@dataclass(frozen=True)
class TimeIsUp:
    """The training job has reached the limit it was started with."""


Stop = Failure | TimeIsUp | Refusal


def of_description(description: Mapping[str, Any], error: str = "") -> Stop:
    """Why the training job of a DescribeTrainingJob answer did not complete; `error` is the Catch's."""
    machine = Machine(
        description.get("ResourceConfig", {}).get("InstanceType", "the machine"),
        is_spot=bool(description.get("EnableManagedSpotTraining")),
        count=description.get("ResourceConfig", {}).get("InstanceCount", 1),
    )
    if description["TrainingJobStatus"] == "Stopped":
        return _of_stopped(description, machine, error)
    reason = str(description.get("FailureReason", "")).strip()
    exit_code = _EXIT_CODE.search(reason)
    text = _WRAPPER.sub("", reason).strip()
    if reason.startswith("InternalServerError"):
        return MachineFailure(_error("infrastructure_failure", f"The training machine failed: {text}"))
    if not reason.startswith("AlgorithmError") and _NO_CAPACITY.search(reason):
        return _no_capacity(machine, reason)
    if _NO_REASON.fullmatch(text) and exit_code and exit_code[1] in _KILLED:
        message = (
            f"The trainer was killed (exit code {exit_code[1]}) and left no reason. It may have run out of "
            "memory: a smaller batch_size, num_generations or max_completion_length needs less."
        )
        return MachineFailure(_error("infrastructure_failure", message))
    if text.startswith(f"{GRADER_FAILING}: "):
        return Failure(_error(GRADER_FAILING, text.removeprefix(f"{GRADER_FAILING}: ")))
    return Failure(_error("training_failed", text or "The trainer ended without giving a reason."))


def of_create(error: str, cause: str, machine: Machine) -> Failure | Refusal:
    """Why there is no training job at all; `error` and `cause` are those of the state's Catch."""
    if "ResourceLimitExceeded" in error:
        quota = quotas.exceeded(cause, machine.instance_type, is_spot=machine.is_spot)
        return Refusal(
            machine.instance_type, machine.is_spot, str(quota), is_quota=True, passes=quota.is_in_use
        )
    if _NO_CAPACITY.search(f"{error} {cause}"):
        return _no_capacity(machine, cause)
    return Failure(
        _error("training_not_started", f"SageMaker did not start the training job: {cause or error}")
    )


def _of_stopped(description: Mapping[str, Any], machine: Machine, error: str) -> Stop:
    """Nobody told it to stop: its limits did, or somebody outside the API.

    Which secondary status a job has that was pending for too long is not documented. It never trained, and
    it lasted that long.
    """
    secondary = description.get("SecondaryStatus")
    if secondary == "MaxWaitTimeExceeded":
        return Refusal(machine.instance_type, machine.is_spot, "no spot instance was free for long enough")
    if secondary == "MaxRuntimeExceeded":
        return TimeIsUp()
    has_trained = description.get("TrainingStartTime") is not None
    if not has_trained and (error == _TIMEOUT or _was_pending_too_long(description)):
        return Refusal(machine.instance_type, machine.is_spot, "it was not free for as long as we waited")
    if error == _TIMEOUT:
        return TimeIsUp()
    return Failure(_error("training_stopped", "The training job was stopped outside the API."))


def _was_pending_too_long(description: Mapping[str, Any]) -> bool:
    limit = description.get("StoppingCondition", {}).get("MaxPendingTimeInSeconds")
    created, ended = description.get("CreationTime"), description.get("LastModifiedTime")
    return bool(limit and created and ended and (ended - created).total_seconds() >= limit)


def _no_capacity(machine: Machine, said: str) -> Refusal:
    words = f"AWS has none free at the moment ({said.strip().rstrip('.')})"
    return Refusal(machine.instance_type, machine.is_spot, words)


def _error(code: str, message: str) -> JobError:
    return JobError(code=code, message=message)
