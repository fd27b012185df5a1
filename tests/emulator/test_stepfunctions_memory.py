"""Executions share what was read of their definition, and nothing that one of them does to it."""

import json
from typing import Any

import boto3
import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

from local import stepfunctions_memory
from tests.emulator.conftest import REGION, ROLE, until

pytestmark = pytest.mark.usefixtures("emulator")

TWICE = {
    "StartAt": "Pick",
    "States": {
        "Pick": {"Type": "Pass", "InputPath": "$.value", "ResultPath": "$.picked", "Next": "Try"},
        "Try": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "raises", "Payload": {}},
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Done"}],
            "End": True,
        },
        "Done": {"Type": "Pass", "End": True},
    },
}


def test_every_execution_has_its_own_retries_and_its_own_input() -> None:
    stepfunctions = boto3.client("stepfunctions")
    roles = boto3.client("iam").create_role(RoleName="raises", AssumeRolePolicyDocument="{}")
    boto3.client("lambda").create_function(
        FunctionName="raises",
        Runtime="python3.13",
        Role=roles["Role"]["Arn"],
        Handler="any.any",
        Code={"ZipFile": b"PK"},
    )
    machine = stepfunctions.create_state_machine(name="any", definition=json.dumps(TWICE), roleArn=ROLE)

    arns = [
        stepfunctions.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=str(value), input=json.dumps({"value": value})
        )["executionArn"]
        for value in (1, 2)
    ]

    for value, arn in enumerate(arns, start=1):
        assert until(
            lambda arn=arn: stepfunctions.describe_execution(executionArn=arn)["status"] == "SUCCEEDED"
        )
        output = json.loads(stepfunctions.describe_execution(executionArn=arn).get("output", ""))
        assert output["picked"] == value and output["error"]["Error"] == "ValueError"
        events: list[Any] = stepfunctions.get_execution_history(executionArn=arn)["events"]
        assert [event["type"] for event in events].count("TaskFailed") == 2


def test_a_definition_that_is_none_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ASLParserException):
            AmazonStateLanguageParser.parse('{"StartAt": ')


def test_a_client_is_made_once_for_each_service() -> None:
    ours = stepfunctions_memory.client_for(REGION, "lambda")

    assert stepfunctions_memory.client_for(REGION, "lambda") is ours
    assert stepfunctions_memory.client_for("eu-west-1", "lambda") is not ours
