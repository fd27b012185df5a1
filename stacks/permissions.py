"""The one way to let a function, a workflow or a role do something in AWS, and to answer what scanners find.

A resource with an asterisk has to say why: the reason stands in the template, in the metadata of the role,
from where docs/roles.md has it, and acknowledges cdk-nag's finding.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

Grantee = lambda_.Function | sfn.StateMachine | iam.Role

REASONS = "outcrop:wildcards"
"""The metadata of a role: a list of `{"resource", "because"}`."""


def allow(
    grantee: Grantee,
    *actions: str,
    on: Sequence[str],
    when: Mapping[str, Any] | None = None,
    because: str = "",
) -> None:
    """Let `grantee` do `actions` on the resources `on`, on the conditions `when`."""
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(actions=[*actions], resources=[*on], conditions=when)
    )
    wide = [resource for resource in on if "*" in resource]
    if wide:
        explain(grantee, wide, because)


def taken_by(scope: Construct, service: str, *, for_any: str = "") -> iam.IPrincipal:
    """A service that may assume a role, or publish to a topic, for something of this account; for what has
    an ARN of the pattern `for_any`, if one is given. Else it might do so for somebody in another account (the
    "confused deputy"). Lambda says nothing of whom it works for, and takes no roles of other accounts."""
    conditions: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}}
    if for_any:
        conditions["ArnLike"] = {"aws:SourceArn": for_any}
    return iam.ServicePrincipal(service, conditions=conditions)  # pyright: ignore[reportReturnType]


def allow_pulling(grantee: Grantee, repository: str) -> None:
    """Of images, from the repository of this ARN."""
    allow(grantee, "ecr:GetAuthorizationToken", on=["*"], because="the action knows no resource")
    allow(
        grantee,
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        on=[repository],
    )


def deny(grantee: Grantee, *actions: str, on: Sequence[str], when: Mapping[str, Any] | None = None) -> None:
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(effect=iam.Effect.DENY, actions=[*actions], resources=[*on], conditions=when)
    )


def explain(grantee: Grantee, wildcards: Sequence[str], because: str) -> None:
    """Say why a permission of `grantee` is for all that these patterns match."""
    if not because:
        raise ValueError(f"{grantee.node.path}: say why it may do that to {', '.join(wildcards)}.")
    role = grantee if isinstance(grantee, iam.Role) else grantee.role
    resource = role.node.default_child if role else None
    if role is None or not isinstance(resource, cdk.CfnResource):
        raise ValueError(f"{grantee.node.path} has no role of its own.")
    reasons = list(resource.get_metadata(REASONS) or [])
    for pattern in wildcards:
        reason = {"resource": pattern, "because": because}
        if reason not in reasons:
            reasons.append(reason)
    resource.add_metadata(REASONS, reasons)
    findings = (f"AwsSolutions-IAM5[Resource::{_shown(grantee, one)}]" for one in wildcards)
    acknowledge(role, dict.fromkeys(findings, because))


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Answer findings about a construct: the reason, by the finding. Checkov's, whose names begin with `CKV`,
    are about its resource; cdk-nag's about all that is in it."""
    for finding, because in reasons.items():
        if not finding.startswith("CKV"):
            cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=because))
    skipped = [{"id": id, "comment": because} for id, because in reasons.items() if id.startswith("CKV")]
    resource = construct if isinstance(construct, cdk.CfnResource) else construct.node.default_child
    if skipped and isinstance(resource, cdk.CfnResource):
        before = (resource.get_metadata("checkov") or {}).get("skip", [])
        resource.add_metadata("checkov", {"skip": [*before, *skipped]})


def _shown(scope: IConstruct, text: str) -> str:
    """As cdk-nag writes it: `<Function.Arn>:*`, and what is another stack's by the name of its export."""
    stack = cdk.Stack.of(scope)
    shown: list[str] = []
    for part in _parts(text):
        if not cdk.Token.is_unresolved(part):
            shown.append(part)
            continue
        (token,) = cdk.Tokenization.reverse_string(part).tokens
        owner = cdk.Stack.of(token.target) if isinstance(token, cdk.Reference) else stack
        value = stack.resolve(token if owner is stack else owner.export_value(token))
        shown.append(_intrinsic(value))
    return "".join(shown)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"(\$\{Token\[[^]]*]})", text) if part]


def _intrinsic(value: Any) -> str:
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return name
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_intrinsic(part) for part in parts)
    return str(value)
