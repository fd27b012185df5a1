"""Each role may do what is listed here, and no more."""

import json
from typing import Any

import pytest

from tests.stacks.conftest import Templates

_READ = {"s3:GetObject*", "s3:GetBucket*", "s3:List*"}
_PUT = {
    "s3:PutObject",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:Abort*",
}
_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
_SOURCES = {"s3:GetObject", "s3:ListBucket"}  # of the objects that the setting s3_sources names
_JUDGES = {"bedrock:InvokeModel"}  # and `GetSecretValue` of the secrets that the setting judges names
_ROWS = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"}

ALLOWED: dict[tuple[str, str], set[str]] = {
    ("OutcropApi", "Api"): _LOG
    | _ROWS
    | _READ
    | _PUT
    | _SOURCES
    | _JUDGES
    | {
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "s3:DeleteObject*",
        "sagemaker:StopTrainingJob",
        "states:StartExecution",
    },
    ("OutcropApi", "Authorizer"): _LOG | {"dynamodb:GetItem", "dynamodb:UpdateItem"},
    ("OutcropSandbox", "Sandbox"): _LOG
    | {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    },
    ("OutcropServing", "Inference"): _LOG
    | _ROWS
    | _READ
    | _PUT
    | {
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "s3:DeleteObject*",
        "states:StartExecution",
    },
    ("OutcropServing", "RunResponse"): _LOG
    | _ROWS
    | _READ
    | _PUT
    | {"dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem"},
    ("OutcropServing", "ResponsesStateMachine"): {"lambda:InvokeFunction"},
    ("OutcropFiles", "ProcessFile"): _LOG
    | _READ
    | _PUT
    | _SOURCES
    | {"dynamodb:GetItem", "dynamodb:UpdateItem", "s3:DeleteObject*"},
    ("OutcropFiles", "FileStateMachine"): {"lambda:InvokeFunction"},
    ("OutcropWorkflow", "ValidateFiles"): _LOG | _ROWS | _READ | _SOURCES,
    ("OutcropWorkflow", "PrepareTraining"): _LOG
    | _ROWS
    | _READ
    | _PUT
    | _SOURCES
    | {"dynamodb:BatchGetItem"},
    ("OutcropWorkflow", "ClassifyStop"): _LOG | _ROWS | {"sagemaker:DescribeTrainingJob"},
    ("OutcropWorkflow", "RegisterModel"): _LOG | _ROWS | _READ | _PUT | {"dynamodb:DeleteItem"},
    ("OutcropWorkflow", "Finish"): _LOG | _ROWS | {"sagemaker:StopTrainingJob"},
    ("OutcropWorkflow", "TrainingStateMachine"): {
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
        "iam:PassRole",
        "lambda:InvokeFunction",
        "sagemaker:AddTags",
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListTags",
        "sagemaker:StopTrainingJob",
    },
    ("OutcropTraining", ""): _LOG
    | _ROWS
    | _READ
    | _PUT
    | _SOURCES
    | _JUDGES
    | {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "lambda:InvokeFunction",
        "logs:CreateLogGroup",
        "logs:DescribeLogStreams",
        "s3:DeleteObject*",
    },
}


def policies(templates: Templates) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Statements by stack and owner of the role."""
    return {
        (stack, id.partition("RoleDefaultPolicy")[0]): resource["Properties"]["PolicyDocument"]["Statement"]
        for stack, template in templates.items()
        for id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Policy"
    }


def test_there_are_no_other_roles(templates: Templates) -> None:
    assert policies(templates).keys() == ALLOWED.keys()


@pytest.mark.parametrize("owner", ALLOWED, ids="-".join)
def test_a_role_holds_no_more_than_is_listed(templates: Templates, owner: tuple[str, str]) -> None:
    actions: set[str] = set()
    for statement in policies(templates)[owner]:
        if statement["Effect"] == "Deny":
            continue
        listed = statement["Action"]
        actions |= {listed} if isinstance(listed, str) else set(listed)

    assert actions == ALLOWED[owner]


def test_only_actions_without_a_resource_are_allowed_on_everything(templates: Templates) -> None:
    for owner, statements in policies(templates).items():
        for statement in statements:
            if statement["Resource"] == "*" and owner != ("OutcropSandbox", "Sandbox"):  # see test_sandbox.py
                assert statement["Action"] == "ecr:GetAuthorizationToken"


def test_training_jobs_of_others_are_out_of_reach(templates: Templates) -> None:
    for statements in policies(templates).values():
        for statement in statements:
            if "sagemaker:" in json.dumps(statement["Action"]):
                assert ":training-job/ftjob-*" in json.dumps(statement["Resource"])


def test_the_authorizer_writes_nothing_but_keys(templates: Templates) -> None:
    statements = policies(templates)["OutcropApi", "Authorizer"]

    (writing,) = (one for one in statements if "dynamodb:UpdateItem" in one["Action"])

    assert writing["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["P#*#KEY"]}}


@pytest.mark.parametrize("owner", [("OutcropApi", "Api"), ("OutcropTraining", "")], ids="-".join)
def test_a_grader_cannot_be_a_function_of_outcrops_own(templates: Templates, owner: tuple[str, str]) -> None:
    about_functions = [one for one in policies(templates)[owner] if '"lambda:' in json.dumps(one["Action"])]

    allowed, denied = sorted(about_functions, key=lambda one: one["Effect"])

    assert (allowed["Effect"], denied["Effect"]) == ("Allow", "Deny")
    assert denied["Action"] == allowed["Action"]
    for stack in templates.keys() - {"OutcropSandbox"}:  # which it calls for Python graders
        assert f":function:{stack}-*" in json.dumps(denied["Resource"])
    assert "OutcropSandbox" not in json.dumps(denied["Resource"])


def test_functions_have_no_managed_policy(templates: Templates) -> None:
    managed = [
        id
        for template in templates.values()
        for id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role" and resource["Properties"].get("ManagedPolicyArns")
    ]

    assert [id for id in managed if not id.startswith("RestApiCloudWatchRole")] == []
