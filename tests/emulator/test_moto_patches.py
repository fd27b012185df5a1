"""One canary for each patch: what moto does without it, and what it does with it.

A first half that fails means that moto has learned it: delete the patch.
"""

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import REGION, ROLE, MakeRequest, ended, until
from tests.emulator.stock_moto import PASS, TEMPLATE, schedule_a_function

pytestmark = pytest.mark.usefixtures("emulator")

Stock = dict[str, Any]


def test_an_execution_without_a_name_gets_one(stock: Stock) -> None:
    assert stock["unnamed"]["arn"].endswith(":None")
    stepfunctions = boto3.client("stepfunctions")
    machine = stepfunctions.create_state_machine(name="any", definition=PASS, roleArn=ROLE)

    arns = {
        stepfunctions.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
        for _ in range(2)
    }

    assert len(arns) == 2
    assert not any(arn.endswith(":None") for arn in arns)


def test_an_execution_is_started_once_however_many_ask_at_the_same_time(switching_fast: None) -> None:
    stepfunctions = boto3.client("stepfunctions")
    wait = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
    machine = stepfunctions.create_state_machine(name="any", definition=json.dumps(wait), roleArn=ROLE)
    arn = machine["stateMachineArn"]

    _at_once(8, lambda _: stepfunctions.start_execution(stateMachineArn=arn, name="one", input="{}"))

    assert len(stepfunctions.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_state_machine_of_a_template_is_executed(stock: Stock) -> None:
    assert stock["state_machines_of_cloudformation"] == 0
    boto3.client("cloudformation").create_stack(StackName="Some", TemplateBody=TEMPLATE)
    stepfunctions = boto3.client("stepfunctions")
    (machine,) = stepfunctions.list_state_machines()["stateMachines"]

    arn = stepfunctions.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    assert until(lambda: stepfunctions.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")


def test_a_resource_has_the_same_name_in_every_deployment(stock: Stock) -> None:
    assert stock["names"][0] != stock["names"][1]
    cloudformation = boto3.client("cloudformation")

    names = []
    for _ in range(2):
        cloudformation.create_stack(StackName="Some", TemplateBody=TEMPLATE)
        resources = cloudformation.describe_stack_resources(StackName="Some")["StackResources"]
        names.append({one["LogicalResourceId"]: one.get("PhysicalResourceId") for one in resources})
        cloudformation.delete_stack(StackName="Some")

    assert names[0] == names[1]
    assert names[0]["Bucket"] == names[0]["Bucket"].lower()


def test_a_function_runs_and_its_error_is_marked(stock: Stock) -> None:
    assert json.loads(stock["function"]) == {"a": 1}
    _create_function("scores")
    _create_function("raises")

    answer = boto3.client("lambda").invoke(FunctionName="scores", Payload=b'{"a": 1}')
    error = boto3.client("lambda").invoke(FunctionName=_arn("raises"), Payload=b"{}")

    assert json.load(answer["Payload"]) == {"function": "scores", "payload": {"a": 1}}
    assert "FunctionError" not in answer
    assert error["FunctionError"] == "Unhandled"
    assert json.load(error["Payload"])["errorType"] == "ValueError"


def test_a_function_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(ClientError, match="Function not found") as caught:
        boto3.client("lambda").invoke(FunctionName=_arn("nobody"), Payload=b"{}")

    assert caught.value.response.get("Error", {}).get("Code") == "ResourceNotFoundException"


def test_a_payload_over_six_megabytes_is_refused() -> None:
    _create_function("scores")

    with pytest.raises(ClientError, match="RequestTooLargeException"):
        boto3.client("lambda").invoke(FunctionName="scores", Payload=b'"%s"' % (b"a" * 6 * 1024 * 1024))


def test_a_training_job_is_what_its_process_is(stock: Stock, request_of: MakeRequest) -> None:
    assert stock["training_job"]["status"] == "Completed"
    sagemaker = boto3.client("sagemaker")

    sagemaker.create_training_job(**request_of("one", {"sleep": "60"}))
    running = sagemaker.describe_training_job(TrainingJobName="one")["TrainingJobStatus"]
    listed = sagemaker.list_training_jobs()["TrainingJobSummaries"][0]["TrainingJobStatus"]
    sagemaker.stop_training_job(TrainingJobName="one")

    assert (running, listed) == ("InProgress", "InProgress")
    assert ended("one")["TrainingJobStatus"] == "Stopped"


def test_a_training_job_can_be_stopped_only_while_it_runs(stock: Stock, request_of: MakeRequest) -> None:
    assert "not been implemented" in stock["training_job"]["stop"]
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_training_job(**request_of("one"))
    ended("one")

    with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
        sagemaker.stop_training_job(TrainingJobName="another")
    with pytest.raises(ClientError, match=r"ValidationException.*is in status Completed"):
        sagemaker.stop_training_job(TrainingJobName="one")


def test_an_unknown_training_job_cannot_be_described() -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        boto3.client("sagemaker").describe_training_job(TrainingJobName="another")


def test_the_name_of_a_training_job_is_used_once(request_of: MakeRequest) -> None:
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_training_job(**request_of("one"))

    with pytest.raises(ClientError, match="this name already exists") as caught:
        sagemaker.create_training_job(**request_of("one"))

    assert caught.value.response.get("Error", {}).get("Code") == "ResourceInUse"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"TrainingJobName": "not a name"}, "'TrainingJobName'.*regular expression"),
        ({"HyperParameters": {"long": "x" * 2501}}, "'HyperParameters.long'.*within 0 and 2500"),
        ({"Environment": {str(n): "x" for n in range(101)}}, "'Environment'.*within 0 and 100"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, "MaximumRetryAttempts.*within 1 and 30"),
    ],
)
def test_a_training_job_is_refused_as_aws_refuses_it(
    request_of: MakeRequest, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ClientError, match=f"ValidationException.*{complaint}"):
        boto3.client("sagemaker").create_training_job(**request_of("one", **changes))


def test_the_whole_request_is_described_again(request_of: MakeRequest) -> None:
    request = request_of(
        "one", RetryStrategy={"MaximumRetryAttempts": 3}, Environment={"OUTCROP_TABLE": "table"}
    )

    boto3.client("sagemaker").create_training_job(**request)

    described = ended("one")
    assert {key: described[key] for key in request} == request


def test_of_concurrent_conditional_writes_exactly_one_wins(switching_fast: None) -> None:
    """moto alone loses updates here, though not each time, so this canary has no first half."""
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName="counts",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    won: list[int] = []

    def race(worker: int) -> None:
        for attempt in range(10):
            try:
                dynamodb.put_item(
                    TableName="counts",
                    Item={"pk": {"S": str(attempt)}},
                    ConditionExpression="attribute_not_exists(pk)",
                )
                won.append(attempt)
            except dynamodb.exceptions.ConditionalCheckFailedException:
                pass
            dynamodb.update_item(
                TableName="counts",
                Key={"pk": {"S": "all"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    _at_once(4, race)

    assert sorted(won) == list(range(10))
    assert dynamodb.get_item(TableName="counts", Key={"pk": {"S": "all"}}).get("Item", {})["n"] == {"N": "40"}


@pytest.fixture
def switching_fast() -> Iterator[None]:
    """Threads that take turns a thousand times as often make races likely."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def _at_once(count: int, work: Any) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _create_function(name: str) -> None:
    roles = boto3.client("iam")
    role = roles.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    boto3.client("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Role=role, Handler="any.any", Code={"ZipFile": b"PK"}
    )


def _arn(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:123456789012:function:{function}"


def test_an_event_goes_past_a_schedule_that_calls_a_function(stock: Stock) -> None:
    assert stock["event"] == "not implemented"
    events = boto3.client("events")
    schedule_a_function(events)

    answer = events.put_events(Entries=[{"Source": "outcrop", "DetailType": "any", "Detail": "{}"}])

    assert answer["FailedEntryCount"] == 0
