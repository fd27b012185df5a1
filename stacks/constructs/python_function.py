"""`PythonFunction`: the one way to make a Lambda function; and to have one called by the clock."""

from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.bundle import source_bundle
from stacks.permissions import acknowledge

_FINDINGS = {
    "AwsSolutions-L1": "Python 3.13: what every dependency has arm64 wheels for",
    "Serverless-LambdaLatestVersion": "Python 3.13: what every dependency has arm64 wheels for",
    "Serverless-LambdaDLQ": "its callers wait for the answer and repeat the call; nothing is lost in between",
    "CKV_AWS_115": "what one function reserves, the account's others cannot use; the API is throttled",
    "CKV_AWS_116": "its callers wait for the answer and repeat the call; nothing is lost in between",
    "CKV_AWS_117": "it calls AWS by TLS; from a VPC that takes a NAT or endpoints, which cost money idle",
    "CKV_AWS_173": "its variables are names and ARNs; secrets are in Secrets Manager",
    "Serverless-LambdaTracing": "X-Ray takes actions on '*'; logs carry the ids of request and job",
}


class PythonFunction(lambda_.Function):
    """A function that runs `<module>.handler` from the shared source bundle.

    What sets functions apart is their environment and, above all, their role: it may write the function's own
    log and nothing more, so grant each one only the actions its handler calls.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        module: str,
        layer: lambda_.ILayerVersion | None = None,
        **props: Any,
    ) -> None:
        log_group = logs.LogGroup(
            scope, f"{id}Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        role = iam.Role(
            scope,
            f"{id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),  # pyright: ignore[reportArgumentType]
        )
        log_group.grant_write(role)
        defaults: dict[str, Any] = {
            "code": lambda_.Code.from_asset(source_bundle()),
            "handler": f"{module}.handler",
            "layers": [layer] if layer else None,
            "memory_size": 512,
            "runtime": lambda_.Runtime.PYTHON_3_13,
            "timeout": Duration.seconds(15),
        }
        super().__init__(
            scope,
            id,
            architecture=lambda_.Architecture.ARM_64,
            log_group=log_group,
            role=role,  # pyright: ignore[reportArgumentType]
            **defaults | props,
        )
        acknowledge(self, _FINDINGS)


def call_every(scope: Construct, function: PythonFunction, rate: Duration, *, why: str, missed: str) -> None:
    """A rule `Schedule` in `scope` that calls `function`; `missed` says why a call that fails is not kept."""
    schedule = events.Rule(
        scope,
        "Schedule",
        description=why,
        schedule=events.Schedule.rate(rate),
        targets=[
            targets.LambdaFunction(function, retry_attempts=0)  # pyright: ignore[reportArgumentType]
        ],
    )
    acknowledge(schedule, {"Serverless-EventBusDLQ": missed})
