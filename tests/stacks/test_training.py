"""What the settings of training change: the role of its jobs, and the state machine that starts them."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from stacks.constructs.training_workflow import TrainingWorkflow
from stacks.deployment import Deployment
from stacks.storage import StorageStack
from stacks.training import TrainingStack
from stacks.training_settings import longest_training, machine_environment

KEY = "arn:aws:kms:us-west-2:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
VPC = {
    "vpc_id": "vpc-0abc",
    "subnet_ids": ["subnet-0abc", "subnet-0def"],
    "security_group_ids": ["sg-0abc"],
}
STEPS = ("validate_files", "prepare_training", "classify_stop", "register_model", "finish")

Statement = dict[str, Any]


def statements_of_the_role(**settings: Any) -> list[Statement]:
    app = cdk.App(context=settings)
    deployment = Deployment.from_context(app.node)
    storage = StorageStack(app, "Storage", deployment=deployment)
    stack = TrainingStack(app, "Training", deployment=deployment, storage=storage, image=None)
    policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    return [one for policy in policies for one in policy["Properties"]["PolicyDocument"]["Statement"]]


def about(statements: list[Statement], service: str) -> dict[str, Statement]:
    """By action, the statements that allow one of the service."""
    return {
        action: one
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        if action.startswith(f"{service}:")
    }


def train_state(**settings: Any) -> dict[str, Any]:
    app = cdk.App(context=settings)
    deployment = Deployment.from_context(app.node)
    stack = cdk.Stack(app, "Workflow")
    functions: dict[str, Any] = {
        name: lambda_.Function(
            stack,
            name,
            code=lambda_.Code.from_inline("pass"),
            handler="index.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
        )
        for name in STEPS
    }
    TrainingWorkflow(
        stack,
        "Training",
        **functions,
        training_role=iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()),  # pyright: ignore[reportArgumentType]
        training_jobs="arn:aws:sagemaker:us-west-2:123456789012:training-job/ftjob-*",
        longest_training=longest_training(deployment),
        is_in_vpc=deployment.training_vpc is not None,
    )
    (resource,) = Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine").values()
    parts = resource["Properties"]["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "x" for part in parts)
    return json.loads(text)["States"]["Train"]


def test_without_a_network_the_role_may_do_nothing_in_ec2() -> None:
    assert about(statements_of_the_role(), "ec2") == {}


def test_in_a_network_the_role_makes_interfaces_in_its_subnets_alone() -> None:
    found = about(statements_of_the_role(training_vpc=VPC), "ec2")

    assert {name.removeprefix("ec2:") for name in found} == {
        "CreateNetworkInterface",
        "CreateNetworkInterfacePermission",
        "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission",
        "DescribeDhcpOptions",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
    }
    for action, one in found.items():
        assert (one["Resource"] == "*") == action.startswith("ec2:Describe")
    assert "vpc/vpc-0abc" in json.dumps(found["ec2:DeleteNetworkInterface"]["Condition"])
    places = json.dumps(
        [one for one in statements_of_the_role(training_vpc=VPC) if "subnet/" in json.dumps(one)]
    )
    for id in ("subnet/subnet-0abc", "subnet/subnet-0def", "security-group/sg-0abc"):
        assert id in places


def test_with_a_key_the_role_hands_it_to_volumes_and_to_nobody_else() -> None:
    grant = about(statements_of_the_role(kms_key=KEY), "kms")["kms:CreateGrant"]

    assert grant["Resource"] == KEY
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize("settings", [{}, {"training_vpc": VPC}], ids=["", "vpc"])
def test_the_train_state_hands_the_network_on_where_there_is_one(settings: dict[str, Any]) -> None:
    assert ("VpcConfig.$" in train_state(**settings)["Parameters"]) == bool(settings)


def test_the_train_state_ends_after_all_that_sagemaker_itself_may_take() -> None:
    short = train_state(max_runtime_seconds=600, max_wait_seconds=0)["TimeoutSeconds"]
    long = train_state(max_runtime_seconds=432_000, max_wait_seconds=604_800)["TimeoutSeconds"]

    assert short == 600 + 1800 + 7200
    assert long == 432_000 + 604_800 + 7200


def test_functions_get_the_settings_as_outcrop_reads_them() -> None:
    context = {"instance_types": {"*": ["ml.g6e.xlarge"]}, "spot": "true", "job_budget_usd": "12.5"}
    deployment = Deployment.from_context(cdk.App(context=context).node)

    assert machine_environment(deployment) == {
        "OUTCROP_INSTANCE_TYPES": '{"*": ["ml.g6e.xlarge"]}',
        "OUTCROP_INSTANCE_COUNT": "{}",
        "OUTCROP_SAMPLER_GPUS": "0",
        "OUTCROP_SPOT": "true",
        "OUTCROP_MAX_WAIT_SECONDS": "21600",
        "OUTCROP_MAX_RUNTIME_SECONDS": "86400",
        "OUTCROP_JOB_BUDGET_USD": "12.5",
    }
