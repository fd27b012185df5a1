"""The deployment that a command works on: found by its CloudFormation stacks and what they give out.

The settings that a function of the stacks has from its environment, a command has from the stacks' outputs.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.settings import settings
from outcrop.stores import clients
from outcrop.stores.refusals import DeploymentError, in_words

STACKS = (
    "OutcropStorage",
    "OutcropFiles",
    "OutcropImages",
    "OutcropTraining",
    "OutcropSandboxImage",
    "OutcropSandbox",
    "OutcropSandboxFull",
    "OutcropGraders",
    "OutcropWeights",
    "OutcropWorkflow",
    "OutcropServing",
    "OutcropApi",
    "OutcropMonitoring",
)
"""All that the settings can ask for, each after those it imports from."""
SANDBOXES = ("OutcropSandbox", "OutcropSandboxFull")
"""A deployment has one of them."""

# Environment variable, and the stack and output that say the same.
SETTINGS = (
    ("OUTCROP_TABLE", "OutcropStorage", "TableName"),
    ("OUTCROP_BUCKET", "OutcropStorage", "BucketName"),
    ("OUTCROP_STATE_MACHINE_ARN", "OutcropWorkflow", "StateMachineArn"),
    ("OUTCROP_IMAGE_PROJECTS", "OutcropImages", "Projects"),
    ("OUTCROP_FILE_WORKFLOW_ARN", "OutcropFiles", "StateMachineArn"),
    ("OUTCROP_RESPONSE_WORKFLOW_ARN", "OutcropServing", "ResponseStateMachineArn"),
    ("OUTCROP_WEIGHTS_WORKFLOW_ARN", "OutcropWeights", "StateMachineArn"),
    ("OUTCROP_OWN_MODELS", "OutcropWeights", "OwnModels"),
    ("OUTCROP_SERVING", "OutcropServing", "Serving"),
    *(("OUTCROP_SANDBOX_FUNCTION", sandbox, "FunctionArn") for sandbox in SANDBOXES),
)
_REGIONS = "us-east-1, us-east-2, us-west-2, eu-central-1, ap-northeast-1"
_GONE = "DELETE_COMPLETE"


@dataclass(frozen=True)
class Stack:
    name: str
    status: str
    """CloudFormation's, like UPDATE_COMPLETE."""
    outputs: Mapping[str, str]
    drift: str = "NOT_CHECKED"
    """What CloudFormation has seen when it was last asked to look."""


@dataclass(frozen=True)
class Deployed:
    partition: str
    account: str
    region: str
    stacks: Mapping[str, Stack]
    """Those of `STACKS` that are there, by name."""

    def output(self, stack: str, name: str) -> str:
        """Raises: DeploymentError if the stack is not there, or is of a release that does not say it."""
        if stack not in self.stacks:
            raise DeploymentError(
                f"The stack {stack} is not in {self.region}: deploy it with `make deploy ARGS=--all`."
            )
        if name not in self.stacks[stack].outputs:
            raise DeploymentError(
                f"The stack {stack} has no output {name}: an older release made it. "
                "Run `make deploy ARGS=--all`."
            )
        return self.stacks[stack].outputs[name]


def sign_in(profile: str | None = None, region: str | None = None) -> None:
    """Have this process use a profile and a Region, by its environment; what is not named stays as it is."""
    if profile:
        os.environ["AWS_PROFILE"] = profile
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            os.environ.pop(key, None)  # they would win over the profile
    region = region or os.environ.get("AWS_REGION")  # which boto3, of the two, does not read
    if region:
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
    if profile or region:
        clients.forget()


def enter(profile: str | None = None, region: str | None = None) -> Deployed:
    """Find the deployment and make its settings this process's. Raises: DeploymentError."""
    sign_in(profile, region)
    with in_words():
        found = find()
    if "OutcropStorage" not in found.stacks:
        raise DeploymentError(
            f"There is no Outcrop in {found.region} of account {found.account}. If it is in another Region, "
            f"name that one with --region, for example {_REGIONS}. If it is nowhere yet, deploy it: "
            "`make deploy ARGS=--all`."
        )
    use(found)
    return found


def find() -> Deployed:
    """What there is of Outcrop, perhaps nothing. Raises: BotoCoreError, ClientError."""
    cloudformation = clients.client("cloudformation")
    who = clients.client("sts").get_caller_identity()
    return Deployed(
        partition=who["Arn"].split(":")[1],
        account=who["Account"],
        region=cloudformation.meta.region_name,
        stacks={stack.name: stack for stack in _stacks(cloudformation)},
    )


def use(deployed: Deployed) -> None:
    """Make what the stacks say this process's settings."""
    for variable, stack, output in SETTINGS:
        value = deployed.stacks[stack].outputs.get(output) if stack in deployed.stacks else None
        if value:
            os.environ[variable] = value
    settings.cache_clear()
    clients.dynamodb_table.cache_clear()


def _stacks(cloudformation: Any) -> Iterator[Stack]:
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for one in page["Stacks"]:
            if one["StackName"] in STACKS and one["StackStatus"] != _GONE:
                outputs = {each["OutputKey"]: each["OutputValue"] for each in one.get("Outputs", ())}
                drift = one.get("DriftInformation", {}).get("StackDriftStatus", "NOT_CHECKED")
                yield Stack(one["StackName"], one["StackStatus"], outputs, drift)


def adopt(variables: Mapping[str, str]) -> None:
    """Make what functions of the deployment have as their settings this process's, too."""
    os.environ.update({name: value for name, value in variables.items() if name.startswith("OUTCROP_")})
    settings.cache_clear()
    clients.dynamodb_table.cache_clear()
