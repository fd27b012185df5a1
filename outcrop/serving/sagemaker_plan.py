"""What SageMaker is to have for a base model, as the requests that make it. Pure.

Names are made of the model's alone, so whoever asks for a thing asks for the same one, and AWS refuses a
second. What settings decide is in the name of the endpoint's configuration: one that does not fit them any
more is told by its name.

The container is AWS's vLLM for SageMaker. It is asked by `/invocations` and without a `route`: there
SageMaker names the adapter in a header that vLLM obeys, while a route leads past it, to the base model.
https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/sagemaker
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outcrop import s3_keys
from outcrop.errors import UnavailableError
from outcrop.settings import Settings
from outcrop.types.base_model import BaseModel, Serving

MAX_COPIES = 2
"""Of a base model under load; each takes an instance of its own."""
VARIANT = "outcrop"
_REQUESTS_PER_COPY = 20.0
"""At once, in the mean, before there is a second copy. vLLM batches them."""
_PROVISION_SECONDS = 900
"""For finding an instance of any of the types."""
_START_SECONDS = 1800
"""For weights to reach the instance, and again for vLLM to load them."""
_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""Has the driver (580) that a container with CUDA 13 needs."""
_MEMORY_MB = 1024
"""Of the host's memory, to place the container by; no limit. A small instance has not much more to give."""
_GPUS = (
    (r"ml\.(g4dn|g5|g6|g6e)\.(12|24)xlarge|ml\.g7e\.24xlarge", 4),
    (r"ml\.g7e\.12xlarge", 2),
    (r"ml\.(g5|g6|g6e|g7e|p4d|p4de|p5|p5e|p5en|p6-b200|p6-b300)\.(24|48)xlarge|ml\.p3\.16xlarge", 8),
)
"""Instance types with more than one GPU, the first pattern that fits."""


def gpus(instance_type: str) -> int:
    return next((count for types, count in _GPUS if re.fullmatch(types, instance_type)), 1)


def component_of_adapter(adapter_key: str) -> str:
    """Of the job and the step that made it: a model and a checkpoint with the same adapter share it."""
    _projects, _project, _jobs, job_id, _adapters, step = adapter_key.strip("/").split("/")
    return f"outcrop-{job_id}-{step}"


@dataclass(frozen=True)
class Plan:
    base_model: str
    weights_key: str
    """Prefix of its weights in the bucket."""
    manifest_key: str
    """Of what says that they are whole; empty for weights that no sync brings."""
    bucket: str
    role_arn: str
    image: str
    serving: Serving
    context_length: int
    lora_rank: int
    instance_types: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        return "outcrop-" + re.sub(r"[^a-z0-9]+", "-", self.base_model.lower())

    @property
    def component(self) -> str:
        """The base model's: it has the compute, and adapters are on top of it."""
        return f"{self.endpoint}-base"

    @property
    def version(self) -> str:
        """What the names of model and configuration begin with as long as the settings are these."""
        made_of = json.dumps(
            [self.role_arn, self.image, self.instance_types, self.environment, self.weights_key]
        )
        return f"{self.endpoint}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"

    @property
    def environment(self) -> dict[str, str]:
        """`SM_VLLM_X_Y` is vLLM's `--x-y`."""
        flags = {
            "MODEL": "/opt/ml/model",
            "SERVED_MODEL_NAME": self.base_model,
            "HOST": "0.0.0.0",  # noqa: S104 - the container's own network, where SageMaker looks for it
            "MAX_MODEL_LEN": str(self.context_length),
            "TENSOR_PARALLEL_SIZE": str(self.gpus),
            "ENABLE_LORA": "true",
            "MAX_LORA_RANK": str(self.lora_rank),
            "MAX_LORAS": "8",
            "MAX_CPU_LORAS": "32",
        }
        if self.serving.tool_call_parser:
            flags |= {"ENABLE_AUTO_TOOL_CHOICE": "true", "TOOL_CALL_PARSER": self.serving.tool_call_parser}
        if self.serving.reasoning_parser:
            flags["REASONING_PARSER"] = self.serving.reasoning_parser
        environment = {f"SM_VLLM_{name}": value for name, value in flags.items()}
        # No flag: without it adapters are InService and every question to them is answered 404.
        return environment | {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"}

    @property
    def gpus(self) -> int:
        return gpus(self.instance_types[0])

    def model(self) -> dict[str, Any]:
        """For CreateModel."""
        weights = {
            "S3Uri": f"s3://{self.bucket}/{self.weights_key}",
            "S3DataType": "S3Prefix",
            "CompressionType": "None",
        }
        return {
            "ModelName": self.version,
            "ExecutionRoleArn": self.role_arn,
            "PrimaryContainer": {
                "Image": self.image,
                "ModelDataSource": {"S3DataSource": weights},
                "Environment": self.environment,
            },
        }

    def endpoint_config(self, instance_types: Sequence[str]) -> dict[str, Any]:
        """For CreateEndpointConfig, with some of the instance types: SageMaker takes the first that it has,
        at each start."""
        if len(instance_types) == 1:
            instances: dict[str, Any] = {"InstanceType": instance_types[0]}
        else:
            pools = [
                {"InstanceType": type, "Priority": place}
                for place, type in enumerate(instance_types, start=1)
            ]
            instances = {
                "InstancePools": pools,
                "VariantInstanceProvisionTimeoutInSeconds": _PROVISION_SECONDS,
            }
        chosen = hashlib.sha256(" ".join(instance_types).encode()).hexdigest()[:6]
        return {
            "EndpointConfigName": f"{self.version}-{chosen}",
            "ExecutionRoleArn": self.role_arn,
            "ProductionVariants": [
                {
                    "VariantName": VARIANT,
                    **instances,
                    "InitialInstanceCount": 1,
                    "ManagedInstanceScaling": {
                        "Status": "ENABLED",
                        "MinInstanceCount": 0,
                        "MaxInstanceCount": MAX_COPIES,
                    },
                    "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
                    "InferenceAmiVersion": _AMI,
                }
            ],
        }

    def base_component(self) -> dict[str, Any]:
        """For CreateInferenceComponent."""
        return {
            "InferenceComponentName": self.component,
            "EndpointName": self.endpoint,
            "VariantName": VARIANT,
            "Specification": {
                "ModelName": self.version,
                "StartupParameters": {
                    "ModelDataDownloadTimeoutInSeconds": _START_SECONDS,
                    "ContainerStartupHealthCheckTimeoutInSeconds": _START_SECONDS,
                },
                "ComputeResourceRequirements": {
                    "NumberOfAcceleratorDevicesRequired": self.gpus,
                    "MinMemoryRequiredInMb": _MEMORY_MB,
                },
            },
            "RuntimeConfig": {"CopyCount": 1},
        }

    def adapter_component(self, adapter_key: str) -> dict[str, Any]:
        """For CreateInferenceComponent: an adapter takes no compute of its own."""
        archive = f"s3://{self.bucket}/{s3_keys.adapter_archive(adapter_key)}"
        return {
            "InferenceComponentName": component_of_adapter(adapter_key),
            "EndpointName": self.endpoint,
            "Specification": {
                "BaseInferenceComponentName": self.component,
                "Container": {"ArtifactUrl": archive},
            },
        }

    @property
    def scalable(self) -> dict[str, Any]:
        """What Application Auto Scaling calls the number of copies."""
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"inference-component/{self.component}",
            "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
        }

    def scaling_policy(self) -> dict[str, Any]:
        """For PutScalingPolicy. Requests in flight are measured when there are none, too: fifteen minutes
        without one, and the last copy goes."""
        metric = "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
        return self.scalable | {
            "PolicyName": self.component,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
                "TargetValue": _REQUESTS_PER_COPY,
                "ScaleInCooldown": 300,
                "ScaleOutCooldown": 300,
            },
        }


def plan(model: BaseModel, settings: Settings) -> Plan:
    """Raises: UnavailableError for a model that SageMaker cannot serve."""
    if model.serving is None:
        raise UnavailableError(
            f"'{model.id}' cannot be served on SageMaker: the catalogue names no instance for it. Choose "
            "another model, or another `serving` in cdk.json.",
            should_retry=False,
        )
    chosen: dict[str, list[str]] = json.loads(settings.serving_instances)
    return Plan(
        base_model=model.id,
        weights_key=s3_keys.base_model(model.id, model.revision),
        manifest_key=s3_keys.weights_manifest(model.id, model.revision) if model.repository else "",
        bucket=settings.bucket,
        role_arn=settings.serving_role_arn,
        image=settings.serving_image,
        serving=model.serving,
        context_length=model.context_length,
        lora_rank=model.lora_r,
        instance_types=tuple(chosen.get(model.id) or model.serving.instance_types),
    )
