"""Which Lambda functions may be graders: those with the tag `outcrop:grader`, and those that the setting
`grader_prefixes` names; none of Outcrop's own.
"""

import aws_cdk as cdk

from outcrop.graders.lambda_function import GRADER_TAG, OWN_STACKS
from stacks.deployment import Deployment
from stacks.permissions import Grantee, allow, deny


def allow_graders(grantee: Grantee, deployment: Deployment, *actions: str) -> None:
    """Let `grantee` do `actions` with customers' functions, whose names are not known here, and call the
    sandbox for Python graders.
    """
    stack = cdk.Stack.of(grantee)
    tagged = {"StringEquals": {f"aws:ResourceTag/{GRADER_TAG}": "true"}}
    because = f"graders are the customer's own functions, chosen by the tag {GRADER_TAG}"
    allow(grantee, *actions, on=[_function(stack, "*")], when=tagged, because=because)
    if deployment.grader_prefixes:
        named = [_function(stack, f"{prefix}*") for prefix in deployment.grader_prefixes]
        because = "the setting grader_prefixes says so"
        allow(grantee, *actions, on=named, because=because)
    # CloudFormation puts the stack's name before the function's. That nobody names the sandbox as a grader is
    # seen to in `outcrop/graders/lambda_function.py`.
    sandbox = _function(stack, f"{deployment.sandbox_stack}-*")
    because = "CloudFormation ends the sandbox's name with letters of its own"
    allow(grantee, "lambda:InvokeFunction", on=[sandbox], because=because)
    own = [_function(stack, f"{one}-*") for one in OWN_STACKS if one != deployment.sandbox_stack]
    deny(grantee, *actions, on=own)


def _function(stack: cdk.Stack, name: str) -> str:
    """The ARN of this account's functions called so; `name` may be an ARN itself, of another's."""
    if name.startswith("arn:"):
        return name
    return stack.format_arn(
        service="lambda", resource=f"function:{name}", arn_format=cdk.ArnFormat.NO_RESOURCE_NAME
    )
