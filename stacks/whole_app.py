"""What the settings say about everything at once: tags, every role's boundary, how long logs are kept, and
which models there are beside the catalogue's."""

from typing import TypeGuard

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import IConstruct

from stacks.constructs.python_function import PythonFunction
from stacks.deployment import Deployment
from stacks.permissions import acknowledge


def apply(app: cdk.App, deployment: Deployment) -> None:
    """To be called when all stacks are made."""
    for name, text in deployment.tags.items():
        cdk.Tags.of(app).add(name, text)
    if deployment.permissions_boundary:
        stack = next(one for one in app.node.children if isinstance(one, cdk.Stack))
        boundary = iam.ManagedPolicy.from_managed_policy_arn(
            stack, "Boundary", deployment.permissions_boundary
        )
        iam.PermissionsBoundary.of(app).apply(boundary)
    for construct in app.node.find_all():
        if deployment.own_models_json != "[]" and _asks_the_catalogue(construct, deployment):
            construct.add_environment("OUTCROP_OWN_MODELS", deployment.own_models_json)
        if isinstance(construct, logs.CfnLogGroup):
            construct.retention_in_days = deployment.log_retention_days
            acknowledge(
                construct,
                {"CKV_AWS_158": "no row, prompt or key is logged; CloudWatch encrypts with a key of its own"},
            )


def _asks_the_catalogue(construct: IConstruct, deployment: Deployment) -> TypeGuard[PythonFunction]:
    """Not customers' graders, whose class is another, nor where they run."""
    return type(construct) is PythonFunction and construct.stack.stack_name != deployment.sandbox_stack
