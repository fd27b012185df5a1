"""`sagemaker:createTrainingJob.sync` in a state machine that runs."""

import json
from typing import Any

import boto3
import pytest

from tests.emulator.conftest import ROLE, MakeRequest, ended, until

pytestmark = pytest.mark.usefixtures("emulator")


def test_moto_alone_refuses_it(stock: dict[str, Any]) -> None:
    assert "Unsupported sync callback" in stock["sync"]["cause"]


def test_a_completed_job_is_the_output_of_its_state(request_of: MakeRequest) -> None:
    execution = _start(request_of("one"))

    output = json.loads(_ended(execution)["output"])

    assert output["TrainingJobStatus"] == "Completed"
    assert output["TrainingJobArn"].endswith(":training-job/one")
    assert isinstance(output["CreationTime"], int)


def test_a_failed_job_is_caught_with_its_description(request_of: MakeRequest) -> None:
    execution = _start(request_of("one", {"write": "output/failure:The loss is NaN.", "exit": "1"}))

    caught = json.loads(_ended(execution)["output"])

    assert caught["Error"] == "States.TaskFailed"
    described = json.loads(caught["Cause"])
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: The loss is NaN., exit code: 1"


def test_a_stopped_job_is_caught_like_a_failed_one(request_of: MakeRequest) -> None:
    execution = _start(request_of("one", {"sleep": "60"}))
    _training("one")

    boto3.client("sagemaker").stop_training_job(TrainingJobName="one")

    caught = json.loads(_ended(execution)["output"])
    assert caught["Error"] == "States.TaskFailed"
    assert json.loads(caught["Cause"])["TrainingJobStatus"] == "Stopped"


def test_a_request_that_sagemaker_refuses_is_caught_by_its_error(request_of: MakeRequest) -> None:
    boto3.client("sagemaker").create_training_job(**request_of("taken"))

    taken = json.loads(_ended(_start(request_of("taken")))["output"])
    invalid = json.loads(_ended(_start(request_of("not a name")))["output"])

    assert taken["Error"] == "SageMaker.ResourceInUseException"
    assert invalid["Error"] == "SageMaker.AmazonSageMakerException"
    assert "regular expression" in invalid["Cause"]


def test_stopping_the_execution_stops_the_job(request_of: MakeRequest) -> None:
    execution = _start(request_of("one", {"sleep": "60"}))
    _training("one")

    boto3.client("stepfunctions").stop_execution(executionArn=execution)

    assert ended("one")["TrainingJobStatus"] == "Stopped"
    assert _ended(execution)["status"] == "ABORTED"


def test_a_state_that_times_out_stops_the_job(request_of: MakeRequest) -> None:
    execution = _start(request_of("one", {"sleep": "60"}), TimeoutSeconds=1)

    assert json.loads(_ended(execution)["output"])["Error"] == "States.Timeout"
    assert ended("one")["TrainingJobStatus"] == "Stopped"


def _start(request: dict[str, Any], **state: Any) -> str:
    """Start a machine of one training job; its output is the job, or the error that was caught."""
    train = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": request,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    definition = {
        "StartAt": "Train",
        "States": {"Train": train | state, "Caught": {"Type": "Pass", "End": True}},
    }
    stepfunctions = boto3.client("stepfunctions")
    name = request["TrainingJobName"].replace(" ", "-")
    machine = stepfunctions.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    return stepfunctions.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]


def _ended(execution: str) -> dict[str, Any]:
    client = boto3.client("stepfunctions")
    return dict(
        until(lambda: client.describe_execution(executionArn=execution), lambda it: it["status"] != "RUNNING")
    )


def _training(name: str) -> None:
    names = boto3.client("sagemaker").list_training_jobs
    until(lambda: any(one["TrainingJobName"] == name for one in names()["TrainingJobSummaries"]))
