"""What asking judges takes: the models that graders may name, and the secrets with their servers' keys.

With a judge `*`, these are the models that the setting lists. Without one a grader may also name any
foundation model of Bedrock's, and any inference profile that AWS made of one.
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
"""

from collections.abc import Collection

import aws_cdk as cdk

from outcrop.types.judge import BedrockJudge, OpenAIJudge, is_inference_profile
from stacks.deployment import Deployment
from stacks.permissions import Grantee, allow


def allow_judges(grantee: Grantee, deployment: Deployment) -> None:
    stack = cdk.Stack.of(grantee)
    judges = deployment.judges.values()
    listed = {one.model for one in judges if isinstance(one, BedrockJudge)}
    profiles = {_profile(stack, one) for one in listed if _is_profile(one)}
    models = {_model(stack, one) for one in listed if not _is_profile(one)}
    if "*" not in deployment.judges:
        profiles, models = {*profiles, _profile(stack, "*")}, {*models, _model(stack, "*")}
    _allow(grantee, "bedrock:InvokeModel", profiles | models)
    # A profile's models run in several Regions, and may be asked there by way of the profile alone.
    anywhere = f"arn:{stack.partition}:bedrock:*::foundation-model/*"
    by_profile = {"ArnLike": {"bedrock:InferenceProfileArn": sorted(profiles)}}
    _allow(grantee, "bedrock:InvokeModel", {anywhere} if profiles else (), by_profile)
    secrets = {one.secret for one in judges if isinstance(one, OpenAIJudge) and one.secret}
    _allow(grantee, "secretsmanager:GetSecretValue", secrets)


def _is_profile(model: str) -> bool:
    return is_inference_profile(model) or "inference-profile/" in model


def _profile(stack: cdk.Stack, model: str) -> str:
    return _arn(stack, "inference-profile", model, account=stack.account)


def _model(stack: cdk.Stack, model: str) -> str:
    return _arn(stack, "foundation-model", model, account="")


def _arn(stack: cdk.Stack, resource: str, model: str, *, account: str) -> str:
    if model.startswith("arn:"):
        return model
    return stack.format_arn(service="bedrock", account=account, resource=resource, resource_name=model)


def _allow(
    grantee: Grantee,
    action: str,
    resources: Collection[str],
    when: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    because = "any model of Bedrock's may judge, unless the setting judges has an entry '*'"
    if resources:
        allow(grantee, action, on=sorted(resources), when=when, because=because)
