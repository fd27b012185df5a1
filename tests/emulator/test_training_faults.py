"""Machines that SageMaker does not give, or takes away: what the fault `TrainingJobs.faults` names does."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.training_faults import Fault
from local.training_jobs import TrainingJobs
from tests.emulator.conftest import BUCKET, ROLE, MakeRequest, ended, until

pytestmark = pytest.mark.usefixtures("emulator")

MACHINE = "ml.m5.large"
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 3600},
    "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/"},
}


def test_a_quota_refuses_the_call_and_is_named(request_of: MakeRequest, training_jobs: TrainingJobs) -> None:
    training_jobs.faults = {MACHINE: ["quota_zero"]}

    with pytest.raises(ClientError, match=f"'{MACHINE} for training job usage' is 0 Instances") as refused:
        boto3.client("sagemaker").create_training_job(**request_of("one"))
    boto3.client("sagemaker").create_training_job(**request_of("one"))

    assert refused.value.response.get("Error", {}).get("Code") == "ResourceLimitExceeded"
    assert ended("one")["TrainingJobStatus"] == "Completed"


def test_a_state_catches_a_quota_by_the_name_that_step_functions_gives_it(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    training_jobs.faults = {MACHINE: ["quota_in_use"]}

    caught = _caught(request_of("one", **SPOT))

    assert caught["Error"] == "SageMaker.ResourceLimitExceededException"
    assert f"'{MACHINE} for spot training job usage' is 1 Instances" in caught["Cause"]


@pytest.mark.parametrize(
    ("fault", "changes", "status", "secondary"),
    [
        ("no_capacity", {}, "Failed", "Failed"),
        (
            "pending",
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxPendingTimeInSeconds": 1800}},
            "Stopped",
            "Stopped",
        ),
        ("no_spot", SPOT, "Stopped", "MaxWaitTimeExceeded"),
    ],
)
def test_a_job_without_a_machine_ends_before_it_trains(
    request_of: MakeRequest,
    training_jobs: TrainingJobs,
    fault: Fault,
    changes: dict[str, Any],
    status: str,
    secondary: str,
) -> None:
    training_jobs.faults = {MACHINE: [fault]}

    caught = _caught(request_of("one", **changes))

    described = json.loads(caught["Cause"])
    assert caught["Error"] == "States.TaskFailed"
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == (status, secondary)
    assert "TrainingStartTime" not in described
    assert described["BillableTimeInSeconds"] == 0
    assert described.get("FailureReason", "CapacityError").startswith("CapacityError")
    waited = (described["LastModifiedTime"] - described["CreationTime"]) / 1000
    assert waited >= {"no_capacity": 0, "pending": 1800, "no_spot": 3600}[fault]


def test_an_interrupted_spot_job_is_resumed_from_its_checkpoint_by_sagemaker_itself(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    training_jobs.faults = {MACHINE: ["interruption"]}
    does = {"write": "checkpoints/step-1:state", "sleep_unless": "checkpoints/step-1 60"}

    boto3.client("sagemaker").create_training_job(**request_of("one", does, **SPOT))

    job = ended("one")
    assert job["TrainingJobStatus"] == "Completed"
    assert [one["Status"] for one in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Interrupted",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]


def _caught(request: dict[str, Any]) -> dict[str, Any]:
    """What the Catch of a state gets whose training job does not complete."""
    states = {
        "Train": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
            "Parameters": request,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "End": True,
        },
        "Caught": {"Type": "Pass", "End": True},
    }
    client = boto3.client("stepfunctions")
    definition = json.dumps({"StartAt": "Train", "States": states})
    machine = client.create_state_machine(name="one", definition=definition, roleArn=ROLE)
    execution = client.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    described = until(
        lambda: client.describe_execution(executionArn=execution), lambda it: it["status"] != "RUNNING"
    )
    return json.loads(described["output"])
