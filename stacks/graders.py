"""Which Lambda functions may be graders: any of this account and Region, but none of Outcrop's own."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from outcrop.graders.lambda_function import OWN_STACKS


def allow_graders(grantee: iam.IGrantable, stack: cdk.Stack, *actions: str) -> None:
    """Let `grantee` do `actions` with customers' functions, whose names are not known here."""
    # CloudFormation puts the stack's name before the function's. The sandbox may be called: for Python
    # graders. That nobody names it as a grader is seen to in `outcrop/graders/lambda_function.py`.
    own = [_function(stack, f"{name}-*") for name in OWN_STACKS if name != "OutcropSandbox"]
    for effect, resources in ((iam.Effect.ALLOW, [_function(stack, "*")]), (iam.Effect.DENY, own)):
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(effect=effect, actions=[*actions], resources=resources)
        )


def _function(stack: cdk.Stack, name: str) -> str:
    return stack.format_arn(
        service="lambda", resource=f"function:{name}", arn_format=cdk.ArnFormat.NO_RESOURCE_NAME
    )
