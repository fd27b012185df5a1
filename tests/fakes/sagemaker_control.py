"""The control plane of SageMaker's endpoints and inference components, and Application Auto Scaling, as
documented: states and how long they last, refusals in AWS's words, and what outlives what."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_things import Component, Endpoint, Refused, Seconds

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-west-2:{ACCOUNT}"
_IDLE_SECONDS = 900


@dataclass
class ControlPlane:
    clock: FakeClock
    seconds: Seconds = field(default_factory=Seconds)
    no_capacity: set[str] = field(default_factory=set)
    """Instance types that SageMaker has none of."""
    no_quota: set[str] = field(default_factory=set)
    container_fails: str = ""
    """Why the base model's container does not start."""
    adapter_fails: str = ""
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def alive(self) -> set[str]:
        """The components that are not on their way out."""
        return {one.name for one in self.components.values() if one.deleted_at is None}

    @property
    def is_costing(self) -> bool:
        """Whether an instance runs that will not go by itself."""
        self.pass_time()
        hosts = [one for one in self.endpoints.values() if not one.failure and one.deleted_at is None]
        return any(not self._sleeps_by_itself(one) for one in hosts)

    def _sleeps_by_itself(self, endpoint: Endpoint) -> bool:
        bases = [one for one in self.components.values() if one.endpoint == endpoint.name and not one.base]
        return bool(bases) and all(f"inference-component/{one.name}" in self.policies for one in bases)

    def pass_time(self) -> None:
        """What has happened meanwhile."""
        now = self.clock.now()
        for endpoint in list(self.endpoints.values()):
            if endpoint.deleted_at is not None and now >= endpoint.deleted_at + self.seconds.delete_endpoint:
                del self.endpoints[endpoint.name]
        for one in list(self.components.values()):
            if one.deleted_at is not None and now >= one.deleted_at + self.seconds.delete_component:
                del self.components[one.name]
            elif one.base or one.failure:
                continue
            elif one.changed_at is None:
                if now >= one.made_at + one.seconds and one.used_at == 0:
                    one.current, one.used_at = one.desired, one.made_at + one.seconds
            elif now >= one.changed_at + self.seconds.wake:
                one.current, one.used_at, one.changed_at = (
                    one.desired,
                    one.changed_at + self.seconds.wake,
                    None,
                )
            scales = f"inference-component/{one.name}" in self.policies
            if one.current and scales and now >= one.used_at + _IDLE_SECONDS:
                one.desired = one.current = 0

    def _CreateModel(self, ModelName: str, **request: Any) -> dict[str, Any]:
        if ModelName in self.models:
            raise Refused(
                "ValidationException", f'Cannot create already existing model "{ARN}:model/{ModelName}".'
            )
        self.models[ModelName] = request
        return {"ModelArn": f"{ARN}:model/{ModelName}"}

    def _DeleteModel(self, ModelName: str) -> dict[str, Any]:
        if self.models.pop(ModelName, None) is None:
            raise Refused("ValidationException", f'Could not find model "{ARN}:model/{ModelName}".')
        return {}

    def _CreateEndpointConfig(self, EndpointConfigName: str, **request: Any) -> dict[str, Any]:
        arn = f"{ARN}:endpoint-config/{EndpointConfigName}"
        if EndpointConfigName in self.configs:
            raise Refused(
                "ValidationException", f'Cannot create already existing endpoint configuration "{arn}".'
            )
        (variant,) = request["ProductionVariants"]
        if ("InstanceType" in variant) == ("InstancePools" in variant):
            raise Refused("ValidationException", "Specify either InstanceType or InstancePools.")
        if len(variant.get("InstancePools", ["", ""])) < 2:
            raise Refused("ValidationException", "InstancePools takes 2 to 5 instance types.")
        self.configs[EndpointConfigName] = request
        return {"EndpointConfigArn": arn}

    def _DeleteEndpointConfig(self, EndpointConfigName: str) -> dict[str, Any]:
        if self.configs.pop(EndpointConfigName, None) is None:
            raise Refused(
                "ValidationException", f'Could not find endpoint configuration "{EndpointConfigName}".'
            )
        return {}

    def _CreateEndpoint(self, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        arn = f"{ARN}:endpoint/{EndpointName}"
        if EndpointName in self.endpoints:
            raise Refused("ValidationException", f'Cannot create already existing endpoint "{arn}".')
        if EndpointConfigName not in self.configs:
            raise Refused(
                "ValidationException", f'Could not find endpoint configuration "{EndpointConfigName}".'
            )
        (variant,) = self.configs[EndpointConfigName]["ProductionVariants"]
        pools = variant.get("InstancePools", [{"InstanceType": variant.get("InstanceType"), "Priority": 1}])
        types = [one["InstanceType"] for one in sorted(pools, key=lambda one: one["Priority"])]
        for type in types:
            if type in self.no_quota:
                raise Refused(
                    "ResourceLimitExceeded",
                    f"The account-level service limit '{type} for endpoint usage' is 0 Instances, with "
                    "current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS "
                    "Service Quotas to request an increase for this quota.",
                )
        free = [type for type in types if type not in self.no_capacity]
        endpoint = Endpoint(
            EndpointName, EndpointConfigName, free or types, self.clock.now(), self.seconds.endpoint
        )
        if not free:
            endpoint.seconds = self.seconds.no_capacity
            endpoint.failure = (
                "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
            )
        self.endpoints[EndpointName] = endpoint
        return {"EndpointArn": arn}

    def _DescribeEndpoint(self, EndpointName: str) -> dict[str, Any]:
        endpoint = self._endpoint(EndpointName)
        failed = {"FailureReason": endpoint.failure} if self.status_of(endpoint) == "Failed" else {}
        return {
            "EndpointName": EndpointName,
            "EndpointArn": f"{ARN}:endpoint/{EndpointName}",
            "EndpointConfigName": endpoint.config,
            "EndpointStatus": self.status_of(endpoint),
            "CreationTime": _time(endpoint.made_at),
            "LastModifiedTime": _time(endpoint.made_at),
            **failed,
        }

    def _DeleteEndpoint(self, EndpointName: str) -> dict[str, Any]:
        endpoint = self._endpoint(EndpointName)
        if self.status_of(endpoint) in ("Creating", "Deleting"):
            raise Refused("ValidationException", f'Cannot update in-progress endpoint "{EndpointName}".')
        endpoint.deleted_at = self.clock.now()
        return {}

    def _CreateInferenceComponent(
        self,
        InferenceComponentName: str,
        EndpointName: str,
        Specification: dict[str, Any],
        **request: Any,
    ) -> dict[str, Any]:
        arn = f"{ARN}:inference-component/{InferenceComponentName}"
        if InferenceComponentName in self.components:
            raise Refused(
                "ValidationException", f'Cannot create already existing inference component "{arn}".'
            )
        if self.status_of(self._endpoint(EndpointName)) != "InService":
            raise Refused("ValidationException", f'Endpoint "{EndpointName}" is not in service.')
        now, base = self.clock.now(), Specification.get("BaseInferenceComponentName", "")
        made = Component(InferenceComponentName, EndpointName, base, now, self.seconds.component)
        if base:
            if self.status(self._component(base)) != "InService":
                raise Refused("ValidationException", f'Inference component "{base}" is not in service.')
            made.seconds, made.artifact = self.seconds.adapter, Specification["Container"]["ArtifactUrl"]
            made.failure = self.adapter_fails or _unreadable(made.artifact)
        else:
            if Specification["ModelName"] not in self.models:
                raise Refused("ValidationException", f'Could not find model "{Specification["ModelName"]}".')
            made.desired, made.failure = request["RuntimeConfig"]["CopyCount"], self.container_fails
        self.components[InferenceComponentName] = made
        return {"InferenceComponentArn": arn}

    def _DescribeInferenceComponent(self, InferenceComponentName: str) -> dict[str, Any]:
        one = self._component(InferenceComponentName)
        status = self.status(one)
        return {
            "InferenceComponentName": one.name,
            "InferenceComponentArn": f"{ARN}:inference-component/{one.name}",
            "EndpointName": one.endpoint,
            "EndpointArn": f"{ARN}:endpoint/{one.endpoint}",
            "InferenceComponentStatus": status,
            "CreationTime": _time(one.made_at),
            "LastModifiedTime": _time(one.made_at),
            **({"FailureReason": one.failure} if status == "Failed" else {}),
            **(
                {}
                if one.base
                else {"RuntimeConfig": {"DesiredCopyCount": one.desired, "CurrentCopyCount": one.current}}
            ),
        }

    def _ListInferenceComponents(self, EndpointNameEquals: str, **_: Any) -> dict[str, Any]:
        found = [
            self._DescribeInferenceComponent(name)
            for name, one in self.components.items()
            if one.endpoint == EndpointNameEquals
        ]
        return {"InferenceComponents": found}

    def _UpdateInferenceComponentRuntimeConfig(
        self, InferenceComponentName: str, DesiredRuntimeConfig: dict[str, int]
    ) -> dict[str, Any]:
        one = self._component(InferenceComponentName)
        if self.status(one) != "InService":
            raise Refused(
                "ValidationException", f'Cannot update inference component "{one.name}" in its state.'
            )
        one.desired, one.changed_at = DesiredRuntimeConfig["CopyCount"], self.clock.now()
        return {"InferenceComponentArn": f"{ARN}:inference-component/{one.name}"}

    def _DeleteInferenceComponent(self, InferenceComponentName: str) -> dict[str, Any]:
        one = self._component(InferenceComponentName)
        state = {"Creating": "CREATE_IN_PROGRESS", "Updating": "UPDATE_RC_IN_PROGRESS"}.get(self.status(one))
        if state:
            raise Refused(
                "ValidationException",
                f'Cannot delete inference component "{one.name}" while it is in state {state}.',
            )
        if any(other.base == one.name for other in self.components.values()):
            raise Refused("ValidationException", f'Inference component "{one.name}" has adapters attached.')
        if one.deleted_at is None:
            one.deleted_at = self.clock.now()
        return {}

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{ARN}:endpoint/{name}".')
        return self.endpoints[name]

    def status_of(self, endpoint: Endpoint) -> str:
        if endpoint.deleted_at is not None:
            return "Deleting"
        if self.clock.now() < endpoint.made_at + endpoint.seconds:
            return "Creating"
        return "Failed" if endpoint.failure else "InService"

    def _component(self, name: str) -> Component:
        if name not in self.components:
            raise Refused(
                "ValidationException",
                f'Could not find inference component "{ARN}:inference-component/{name}".',
            )
        return self.components[name]

    def status(self, one: Component) -> str:
        if one.deleted_at is not None:
            return "Deleting"
        if self.clock.now() < one.made_at + one.seconds:
            return "Creating"
        if one.failure:
            return "Failed"
        return "Updating" if one.changed_at is not None else "InService"


@cache
def _s3() -> Any:
    """SageMaker's own, not the deployment's."""
    return boto3.Session(region_name="us-west-2").client("s3")


def _unreadable(artifact: str) -> str:
    bucket, _, key = artifact.removeprefix("s3://").partition("/")
    try:
        _s3().head_object(Bucket=bucket, Key=key)
    except ClientError:
        return f"Failed to download {artifact}: it does not exist."
    return "" if key.endswith(".tar.gz") else f"{artifact} is not a gzip compressed tar archive."


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
