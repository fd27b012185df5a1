"""A role's policy against the calls that were made as it: what would be refused, and what nobody needed.

What a service itself does with a role, before the code runs or around it, no test can see. Each such action
is below, by the service, with the reason for which it is granted.
"""

import re
from collections.abc import Iterable, Mapping

from outcrop.settings import settings
from scripts.synthesis import Templates
from tests.stacks.iam import Account, Policy, matches
from tests.stacks.role_calls import Request

_LOGS = "writes what the code prints into the role's log group"
BY_LAMBDA = {"logs:CreateLogStream": f"Lambda {_LOGS}", "logs:PutLogEvents": f"Lambda {_LOGS}"}
_PULLS = "pulls the container's image with the role, before anything of ours runs"
BY_SAGEMAKER = {
    "ecr:BatchCheckLayerAvailability": f"SageMaker {_PULLS}",
    "ecr:BatchGetImage": f"SageMaker {_PULLS}",
    "ecr:GetAuthorizationToken": f"SageMaker {_PULLS}",
    "ecr:GetDownloadUrlForLayer": f"SageMaker {_PULLS}",
    "logs:CreateLogGroup": f"SageMaker {_LOGS}, and makes that if it is the first",
    "logs:CreateLogStream": f"SageMaker {_LOGS}",
    "logs:DescribeLogStreams": f"SageMaker {_LOGS}, and looks where that ends",
    "logs:PutLogEvents": f"SageMaker {_LOGS}",
}
BY_CODEBUILD = {
    "ecr:BatchCheckLayerAvailability": "docker push, in the build, asks which layers are there",
    "ecr:BatchGetImage": "docker push, in the build, asks whether the manifest is there",
    "ecr:CompleteLayerUpload": "docker push, in the build",
    "ecr:GetAuthorizationToken": "aws ecr get-login-password, in the build",
    "ecr:InitiateLayerUpload": "docker push, in the build",
    "ecr:PutImage": "docker push, in the build",
    "ecr:UploadLayerPart": "docker push, in the build",
    "logs:CreateLogStream": f"CodeBuild {_LOGS}",
    "logs:PutLogEvents": f"CodeBuild {_LOGS}",
    "s3:GetBucketLocation": "CodeBuild fetches the sources, and asks first where their bucket is",
    "s3:GetObject": "CodeBuild fetches the sources",
    "s3:GetObjectVersion": "CodeBuild fetches the sources, in the version that it was told",
}
_WAITS = "Step Functions has itself told of a training job's end by a rule of its own"
BY_STEP_FUNCTIONS = {
    "events:DescribeRule": _WAITS,
    "events:PutRule": _WAITS,
    "events:PutTargets": _WAITS,
    "sagemaker:AddTags": "SageMaker asks for it when a training job is made with tags",
    "sagemaker:DescribeTrainingJob": "Step Functions looks itself when nothing is told",
    "sagemaker:ListTags": "Step Functions' own list of what `createTrainingJob.sync` takes",
    "sagemaker:StopTrainingJob": "Step Functions, when an execution is stopped while it waits",
}
_INTERFACE = "Lambda puts the function into its subnet; the function itself is denied it"
BY_LAMBDA_IN_A_NETWORK = BY_LAMBDA | {
    "ec2:AssignPrivateIpAddresses": _INTERFACE,
    "ec2:CreateNetworkInterface": _INTERFACE,
    "ec2:DeleteNetworkInterface": _INTERFACE,
    "ec2:DescribeNetworkInterfaces": _INTERFACE,
    "ec2:DescribeSubnets": _INTERFACE,
    "ec2:UnassignPrivateIpAddresses": _INTERFACE,
}

_OTHER_JUDGES = re.compile(r"arn:aws:bedrock:.*(inference-profile/\*|\*::foundation-model/\*)")
"""A judge is called by its model or by a profile of it; one of them will do."""

Names = Mapping[str, str]
"""The deployed machines and functions, by the emulated ones."""


def machines(account: Account) -> dict[str, str]:
    """The deployed state machines, by the emulated ones."""
    return {
        settings().state_machine_arn: account.arn("OutcropWorkflow", "TrainingStateMachine"),
        settings().file_workflow_arn: account.arn("OutcropFiles", "FileStateMachine"),
        settings().response_workflow_arn: account.arn("OutcropServing", "ResponsesStateMachine"),
    }


def role_of(templates: Templates, function: str) -> str:
    """As docs/roles.md calls it, of the function with that logical id."""
    (stack,) = (name for name, one in templates.items() if function in one["Resources"])
    return f"{stack} {re.sub('[0-9A-F]{8}$', '', function)}"


def refused(policy: Policy, made: Iterable[Request], names: Names | None = None) -> list[Request]:
    """Calls that IAM would not let the role make."""
    deployed = names or {}
    return [
        one
        for one in made
        if not policy.allows(one.action, deployed.get(one.resource, one.resource), dict(one.context))
    ]


def unused(
    policy: Policy, made: Iterable[Request], by_service: Iterable[str], names: Names | None = None
) -> list[str]:
    """What the role may do, and on what, that no call needed and no service does."""
    deployed, own = names or {}, set(by_service)
    asked = {(one.action, deployed.get(one.resource, one.resource)) for one in made}
    return [
        f"{action} on {resource}"
        for one in policy.statements
        if one["Effect"] == "Allow"
        for action in one["Action"]
        for resource in one["Resource"]
        if action not in own
        and not _OTHER_JUDGES.fullmatch(resource)
        and not any(name == action and matches(resource, on) for name, on in asked)
    ]
