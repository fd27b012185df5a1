"""The settings of training: which machines it asks for, in which network, and where its limits are."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Node

from outcrop import prices
from outcrop.base_models import find
from outcrop.types.base_model import BaseModel
from stacks.setting_types import json_object

if TYPE_CHECKING:
    from stacks.deployment import Deployment

InstanceTypes = Mapping[str, Sequence[str]]

MAX_INSTANCE_TYPES = 5
"""Of a model: so many machines, asked for again and again, fit into the events of one execution."""
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.\w+")
_TYPES_EXAMPLE = '{"openai.gpt-oss-20b": ["ml.p5.4xlarge", "ml.g7e.2xlarge"], "*": ["ml.p5en.48xlarge"]}'
_VPC_EXAMPLE = '{"vpc_id": "vpc-0abc", "subnet_ids": ["subnet-0abc"], "security_group_ids": ["sg-0abc"]}'
_VPC_LISTS = {"subnet_ids": ("subnet-", 16), "security_group_ids": ("sg-", 5)}
_MOST_INSTANCES = 16
_COUNT_EXAMPLE = '{"qwen.qwen3-32b": 2}'
_LEAST_PENDING_SECONDS = 1800
_AROUND_TRAINING_SECONDS = 7200
"""To start a machine, load weights, save, and upload."""


@dataclass(frozen=True)
class TrainingVpc:
    """Where training jobs run: subnets from which they reach S3, DynamoDB, Lambda, logs and ECR."""

    vpc_id: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]

    def as_vpc_config(self) -> str:
        """As OUTCROP_TRAINING_VPC has it."""
        config = {"SecurityGroupIds": self.security_group_ids, "Subnets": self.subnet_ids}
        return json.dumps(config)


def instance_types(node: Node, known: Sequence[BaseModel]) -> dict[str, list[str]]:
    """Raises: ValueError that says what would be right."""
    found = json_object(node, "instance_types", like=_TYPES_EXAMPLE)
    for model, types in found.items():
        if model != "*" and find(model, known) is None:
            ids = ", ".join(one.id for one in known)
            raise ValueError(f"instance_types: '{model}' is neither '*' nor a model. Known: {ids}.")
        is_list = isinstance(types, list) and all(
            isinstance(one, str) and _INSTANCE_TYPE.fullmatch(one) for one in types
        )
        if not is_list or not 1 <= len(types) <= MAX_INSTANCE_TYPES or len(set(types)) < len(types):
            raise ValueError(
                f"instance_types: '{model}' must have a list of one to {MAX_INSTANCE_TYPES} different "
                f"SageMaker types, like {_TYPES_EXAMPLE}, not {types!r}."
            )
    return {_id(model, known): types for model, types in found.items()}


def instance_count(node: Node, known: Sequence[BaseModel]) -> dict[str, int]:
    """Raises: ValueError that says what would be right."""
    found = json_object(node, "instance_count", like=_COUNT_EXAMPLE)
    for name, count in found.items():
        model = find(name, known)
        if model is None:
            ids = ", ".join(one.id for one in known)
            raise ValueError(f"instance_count: '{name}' is not a model. Known: {ids}.")
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_INSTANCES:
            raise ValueError(
                f"instance_count: '{name}' must have a whole number from 1 to {_MOST_INSTANCES}, "
                f"like {_COUNT_EXAMPLE}, not {count!r}."
            )
        if count > 1 and (model.lora_parameters or model.lora_layers or model.attention != "sdpa"):
            raise ValueError(
                f"instance_count: '{name}' trains on one machine: attention other than sdpa, and LoRA on "
                "single parameters or on some of the layers, are not translated to verl."
            )
    return {_id(name, known): count for name, count in found.items()}


def training_vpc(node: Node) -> TrainingVpc | None:
    """Raises: ValueError that says what would be right."""
    found = json_object(node, "training_vpc", like=_VPC_EXAMPLE)
    if not found:
        return None
    wrong = found.keys() ^ {"vpc_id", *_VPC_LISTS}
    if wrong or not re.fullmatch(r"vpc-\w+", str(found["vpc_id"])):
        raise ValueError(f"training_vpc must be like {_VPC_EXAMPLE}, not {found!r}.")
    for name, (prefix, most) in _VPC_LISTS.items():
        ids = found[name]
        if (
            not isinstance(ids, list)
            or not 1 <= len(ids) <= most
            or not all(isinstance(one, str) and re.fullmatch(prefix + r"\w+", one) for one in ids)
        ):
            raise ValueError(
                f"training_vpc: {name} must be one to {most} ids like '{prefix}0abc', not {ids!r}."
            )
    return TrainingVpc(found["vpc_id"], tuple(found["subnet_ids"]), tuple(found["security_group_ids"]))


def check(deployment: "Deployment") -> None:
    """What holds between settings. Raises: ValueError."""
    if deployment.spot and deployment.warm_pool_seconds:
        raise ValueError("warm_pool_seconds must be 0 where spot is true: SageMaker keeps no spot instance.")
    if deployment.trains_on_several and deployment.training_image:
        raise ValueError(
            "instance_count above 1 needs the images that a deployment builds by itself: leave "
            "training_image empty."
        )
    if deployment.job_budget_usd:
        for types in deployment.instance_types.values():
            for one in types:
                if prices.hourly("training", one) is None:
                    raise ValueError(
                        f"instance_types: outcrop/prices.json has no price of '{one}', so no job_budget_usd "
                        "could be kept. Add it there, or set job_budget_usd to 0."
                    )


def machine_environment(deployment: "Deployment") -> dict[str, str]:
    """What every function knows that decides about machines."""
    return {
        "OUTCROP_INSTANCE_TYPES": json.dumps(deployment.instance_types),
        "OUTCROP_INSTANCE_COUNT": json.dumps(deployment.instance_count),
        "OUTCROP_SAMPLER_GPUS": str(deployment.sampler_gpus),
        "OUTCROP_SPOT": str(deployment.spot).lower(),
        "OUTCROP_MAX_WAIT_SECONDS": str(deployment.max_wait_seconds),
        "OUTCROP_MAX_RUNTIME_SECONDS": str(deployment.max_runtime_seconds),
        "OUTCROP_JOB_BUDGET_USD": str(deployment.job_budget_usd),
    }


def longest_training(deployment: "Deployment") -> cdk.Duration:
    """From the call that creates a training job to its end: after that, something is wrong."""
    waiting = max(deployment.max_wait_seconds, _LEAST_PENDING_SECONDS)
    return cdk.Duration.seconds(deployment.max_runtime_seconds + waiting + _AROUND_TRAINING_SECONDS)


def _id(model: str, known: Sequence[BaseModel]) -> str:
    found = find(model, known)
    return found.id if found else model
