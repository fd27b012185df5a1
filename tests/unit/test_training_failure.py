"""What a person reads about a training job that did not complete, and what the workflow makes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outcrop.operations import training_failure
from outcrop.operations.launches import Refusal
from outcrop.operations.machines import Machine
from outcrop.operations.training_failure import Failure, MachineFailure, TimeIsUp

P5 = Machine("ml.p5.4xlarge")
ZERO = (
    "The account-level service limit 'ml.p5.4xlarge for training job usage' is 0 Instances, with current "
    "utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request "
    "an increase for this quota. (Service: AmazonSageMaker; Error Code: ResourceLimitExceeded)"
)
QUOTA_ERROR = "SageMaker.ResourceLimitExceededException"


def described(reason: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "TrainingJobStatus": "Failed",
        "FailureReason": reason,
        "ResourceConfig": {"InstanceType": P5.instance_type},
        **fields,
    }


def stopped(secondary: str, **fields: Any) -> dict[str, Any]:
    return described(TrainingJobStatus="Stopped", SecondaryStatus=secondary, **fields)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("AlgorithmError: The grader answered no score., exit code: 1", "The grader answered no score."),
        ("AlgorithmError: Out of memory at step 3, exit code: 137", "Out of memory at step 3"),
        ("AlgorithmError: two\nlines, exit code: 1", "two\nlines"),
        ("AlgorithmError: CapacityError in my grader, exit code: 1", "CapacityError in my grader"),
        ("ClientError: Data download failed: no such key", "ClientError: Data download failed: no such key"),
        ("", "The trainer ended without giving a reason."),
    ],
)
def test_the_trainer_s_own_words_are_the_message(reason: str, message: str) -> None:
    stop = training_failure.of_description(described(reason))

    assert type(stop) is Failure
    assert (stop.error.code, stop.error.message) == ("training_failed", message)


def test_a_failing_grader_is_told_by_its_code_and_its_own_words() -> None:
    reason = "AlgorithmError: grader_failing: The grader failed on 60%. First failure, KeyError"

    stop = training_failure.of_description(described(f"{reason}, exit code: 1"))

    assert type(stop) is Failure
    assert stop.error.code == "grader_failing"
    assert stop.error.message == "The grader failed on 60%. First failure, KeyError"


@pytest.mark.parametrize(
    "reason",
    [
        "AlgorithmError: killed by signal 9 (out of memory?), exit code: 137",
        "AlgorithmError: , exit code: 137",
        "AlgorithmError: killed by signal 15, exit code: 143",
        "InternalServerError: We encountered an internal error. Please try again.",
    ],
)
def test_a_machine_that_failed_is_told_from_training_that_failed(reason: str) -> None:
    stop = training_failure.of_description(described(reason))

    assert isinstance(stop, MachineFailure)
    assert stop.error.code == "infrastructure_failure"


@pytest.mark.parametrize(
    "reason",
    [
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
        "instance type.",
        "Insufficient instance capacity in the requested Availability Zone.",
    ],
)
def test_a_lack_of_machines_is_a_refusal_in_sagemaker_s_words(reason: str) -> None:
    stop = training_failure.of_description(described(reason))

    said = f"AWS has none free at the moment ({reason.rstrip('.')})"
    assert stop == Refusal(P5.instance_type, is_spot=False, said=said)


def test_a_lack_of_machines_at_the_call_itself_is_a_refusal_too() -> None:
    stop = training_failure.of_create("SageMaker.AmazonSageMakerException", "InsufficientCapacity: none", P5)

    assert isinstance(stop, Refusal)
    assert not stop.is_quota


def test_a_spot_instance_that_does_not_come_is_a_refusal() -> None:
    stop = training_failure.of_description(stopped("MaxWaitTimeExceeded", EnableManagedSpotTraining=True))

    assert isinstance(stop, Refusal)
    assert stop.is_spot


@pytest.mark.parametrize(
    ("waited", "trained", "error", "outcome"),
    [
        (1800, False, "States.TaskFailed", Refusal),
        (60, False, "States.TaskFailed", Failure),  # by hand
        (60, False, "States.Timeout", Refusal),  # by Step Functions: machines without a GPU know no limit
        (1800, True, "States.TaskFailed", Failure),  # by hand
        (90_000, True, "States.Timeout", TimeIsUp),
    ],
)
def test_a_job_that_was_pending_too_long_is_told_from_one_that_was_stopped_by_hand(
    waited: int, trained: bool, error: str, outcome: type
) -> None:
    ended = datetime.now(UTC)
    description = stopped(
        "Stopped",
        StoppingCondition={"MaxPendingTimeInSeconds": 1800},
        CreationTime=ended - timedelta(seconds=waited),
        LastModifiedTime=ended,
        **({"TrainingStartTime": ended} if trained else {}),
    )

    stop = training_failure.of_description(description, error)

    assert type(stop) is outcome


def test_a_job_stopped_by_hand_says_so() -> None:
    stop = training_failure.of_description(stopped("Stopped"))

    assert isinstance(stop, Failure)
    assert stop.error.code == "training_stopped"


def test_a_time_limit_is_no_failure() -> None:
    assert training_failure.of_description(stopped("MaxRuntimeExceeded")) == TimeIsUp()


@pytest.mark.parametrize(
    ("cause", "machine", "said", "passes"),
    [
        (ZERO, P5, "the quota 'ml.p5.4xlarge for training job usage' (L-C2764A80) is 0", False),
        (
            ZERO.replace("is 0", "is 1").replace("utilization of 0", "utilization of 1"),
            P5,
            "the quota 'ml.p5.4xlarge for training job usage' (L-C2764A80) is 1, and in use",
            True,
        ),
        (
            ZERO.replace("training job", "training warm pool"),
            P5,
            "the quota 'ml.p5.4xlarge for training warm pool usage' is 0",
            False,
        ),
        (
            "You have reached a limit.",
            Machine("ml.g6e.xlarge", is_spot=True),
            "the quota 'ml.g6e.xlarge for spot training job usage' does not allow it",
            False,
        ),
    ],
)
def test_a_quota_is_named_with_its_code_where_that_is_known(
    cause: str, machine: Machine, said: str, passes: bool
) -> None:
    stop = training_failure.of_create(QUOTA_ERROR, cause, machine)

    expected = Refusal(machine.instance_type, machine.is_spot, said, is_quota=True, passes=passes)
    assert stop == expected


def test_a_training_job_that_was_never_created_gives_sagemaker_s_reason() -> None:
    stop = training_failure.of_create("SageMaker.AmazonSageMakerException", "No such image.", P5)

    assert isinstance(stop, Failure)
    assert stop.error.code == "training_not_started"
    assert stop.error.message.endswith("No such image.")
