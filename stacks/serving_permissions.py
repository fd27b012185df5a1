"""What serving on SageMaker takes: the role that endpoints run with, and what functions may do with them.

Endpoints, components and what they are made of are made at run time; all their names begin with `outcrop-`.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import region_info
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.deployment import Deployment
from stacks.permissions import allow, allow_pulling, taken_by
from stacks.serving_settings import IMAGE
from stacks.storage import StorageStack

_VLLM = "0.30.0-gpu-py312-cu130-ubuntu24.04-sagemaker"
"""Tag of AWS's container, https://aws.github.io/deep-learning-containers/vllm."""
_OURS = "made at run time, and named after the model or the job"
_SCALING = "sagemaker.application-autoscaling.amazonaws.com"


class EndpointRole(Construct):
    """What the machines of endpoints may do: read weights and adapters, fetch their container, and log."""

    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=taken_by(self, "sagemaker.amazonaws.com"),
        )
        storage.allow_objects(self.role, "s3:GetObject", under=["models/*", "projects/*/adapters/*"])
        stack = cdk.Stack.of(self)
        named = IMAGE.fullmatch(deployment.serving_image)
        registry = stack.regional_fact(region_info.FactName.DLC_REPOSITORY_ACCOUNT)
        self.image = deployment.serving_image or (
            f"{registry}.dkr.ecr.{stack.region}.{stack.url_suffix}/vllm:{_VLLM}"
        )
        repository = stack.format_arn(
            service="ecr",
            account=named["account"] if named else registry,
            region=named["region"] if named else None,
            resource="repository",
            resource_name=named["name"] if named else "vllm",
        )
        allow_pulling(self.role, repository)
        allow(
            self.role,
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
            on=[
                stack.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=f"/aws/sagemaker/{kind}/outcrop-*",
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
                for kind in ("Endpoints", "InferenceComponents")
            ],
            because="SageMaker names log groups after endpoints and components",
        )


def allow_hosting(function: PythonFunction, endpoints: EndpointRole) -> None:
    """Let a function make endpoints, wake them, and take them away, as `outcrop.serving.sagemaker` does."""
    allow_tending(function)
    stack = cdk.Stack.of(function)
    endpoint, config, model = (_ours(stack, kind) for kind in ("endpoint", "endpoint-config", "model"))
    for kind, on in (("Model", [model]), ("EndpointConfig", [config]), ("Endpoint", [endpoint, config])):
        allow(function, f"sagemaker:Create{kind}", on=on, because=_OURS)
    component = _ours(stack, "inference-component")
    allow(function, "sagemaker:UpdateInferenceComponentRuntimeConfig", on=[component], because=_OURS)
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow(function, "iam:PassRole", on=[endpoints.role.role_arn], when=to_sagemaker)


def allow_tending(function: PythonFunction) -> None:
    """Let a function bring endpoints that were begun to their end, and take them away."""
    stack = cdk.Stack.of(function)
    endpoint, config, model = (_ours(stack, kind) for kind in ("endpoint", "endpoint-config", "model"))
    for kind, on in (("Model", model), ("EndpointConfig", config), ("Endpoint", endpoint)):
        allow(function, f"sagemaker:Delete{kind}", on=[on], because=_OURS)
    allow(function, "sagemaker:DescribeEndpoint", on=[endpoint], because=_OURS)
    allow_components(function, "Create", "Delete", "Describe")
    allow(function, "sagemaker:CreateInferenceComponent", on=[model], because=_OURS)  # of a base model
    allow(function, "sagemaker:ListInferenceComponents", on=["*"], because="a list has no resource to name")
    _allow_scaling(function, _ours(stack, "inference-component"))


def allow_asking(function: PythonFunction) -> None:
    """Let a function ask the models. The API's documentation has one action for both kinds of answers, the
    IAM reference has two."""
    stack = cdk.Stack.of(function)
    allow(
        function,
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        on=[_ours(stack, "endpoint"), _ours(stack, "inference-component")],
        because=_OURS,
    )


def allow_components(function: PythonFunction, *calls: str) -> None:
    """Let a function do this with components, adapters among them: `Create`, `Delete`, `Describe`."""
    component, endpoint = (
        _ours(cdk.Stack.of(function), kind) for kind in ("inference-component", "endpoint")
    )
    for call in calls:
        on = [component, endpoint] if call == "Create" else [component]
        allow(function, f"sagemaker:{call}InferenceComponent", on=on, because=_OURS)


def _allow_scaling(function: PythonFunction, component: str) -> None:
    stack = cdk.Stack.of(function)
    targets = stack.format_arn(
        service="application-autoscaling", resource="scalable-target", resource_name="*"
    )
    copies = {
        "StringEquals": {
            "application-autoscaling:service-namespace": "sagemaker",
            "application-autoscaling:scalable-dimension": "sagemaker:inference-component:DesiredCopyCount",
        }
    }
    allow(
        function,
        "application-autoscaling:DeregisterScalableTarget",
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:RegisterScalableTarget",
        on=[targets],
        when=copies,
        because="Application Auto Scaling gives targets names of its own",
    )
    alarms = stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name="TargetTracking-inference-component/outcrop-*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    because = (
        "a policy's alarms, which its maker must be allowed to make and delete, are named after the component"
    )
    allow(function, "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", on=[alarms], because=because)
    allow(function, "cloudwatch:DescribeAlarms", on=["*"], because="a list of alarms has no resource to name")
    # The first policy in an account makes the role by which Application Auto Scaling acts.
    role = stack.format_arn(
        service="iam",
        region="",
        resource="role",
        resource_name=f"aws-service-role/{_SCALING}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    )
    only = {"StringEquals": {"iam:AWSServiceName": _SCALING}}
    allow(function, "iam:CreateServiceLinkedRole", on=[role], when=only)


def _ours(stack: cdk.Stack, kind: str) -> str:
    return stack.format_arn(service="sagemaker", resource=kind, resource_name="outcrop-*")
