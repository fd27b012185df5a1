"""The settings of serving: what answers as the models, and on which machines."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from constructs import Node

from outcrop.base_models import find
from outcrop.serving.sagemaker_plan import gpus
from outcrop.types.base_model import BaseModel
from stacks.setting_types import choice, json_object, text

if TYPE_CHECKING:
    from stacks.deployment import Deployment

SERVINGS = ("sagemaker", "bedrock_import", "openai_compatible")
IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)[:@]\S+"
)
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.\w+")
_MOST_TYPES = 5
_EXAMPLE = '{"qwen.qwen3-32b": ["ml.g7e.2xlarge", "ml.g7e.4xlarge"]}'
_IMAGE_EXAMPLE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/vllm:0.30.0-sagemaker"


def serving(node: Node, serving_url: str) -> str:
    """A `serving_url` alone says which, too. Raises: ValueError."""
    chosen = choice(node, "serving", *SERVINGS, default="openai_compatible" if serving_url else "sagemaker")
    if chosen == "openai_compatible" and not serving_url:
        raise ValueError("serving: 'openai_compatible' needs a serving_url, the server's base URL.")
    if chosen != "openai_compatible" and serving_url:
        raise ValueError(f"serving_url must be empty where serving is '{chosen}': nobody would ask it.")
    return chosen


def serving_image(node: Node) -> str:
    """Raises: ValueError."""
    return text(node, "serving_image", pattern=IMAGE.pattern, like=_IMAGE_EXAMPLE)


def serving_instances(node: Node, known: Sequence[BaseModel]) -> dict[str, list[str]]:
    """Raises: ValueError that says what would be right."""
    chosen: dict[str, list[str]] = {}
    for name, value in json_object(node, "serving_instances", like=_EXAMPLE).items():
        model = find(name, known)
        if model is None or model.serving is None:
            served = ", ".join(one.id for one in known if one.serving)
            raise ValueError(
                f"serving_instances: '{name}' is no model that SageMaker serves. Known: {served}."
            )
        types = [value] if isinstance(value, str) else value
        if not (
            isinstance(types, list)
            and 1 <= len(types) <= _MOST_TYPES
            and all(isinstance(one, str) and _INSTANCE_TYPE.fullmatch(one) for one in types)
            and len(set(types)) == len(types)
        ):
            raise ValueError(
                f"serving_instances: '{name}' must have one to {_MOST_TYPES} different SageMaker types, like "
                f"{_EXAMPLE}, not {value!r}."
            )
        if len({gpus(one) for one in types}) > 1:
            counts = ", ".join(f"{one} has {gpus(one)}" for one in types)
            raise ValueError(
                f"serving_instances: the types of '{name}' must have equally many GPUs: {counts}."
            )
        chosen[model.id] = types
    return chosen


def serving_environment(deployment: "Deployment") -> dict[str, str]:
    """What every function knows that has to do with serving."""
    environment = {"OUTCROP_SERVING": deployment.serving}
    if deployment.serving == "openai_compatible":
        environment["OUTCROP_SERVING_URL"] = deployment.serving_url
    if deployment.serving == "sagemaker":
        environment["OUTCROP_SERVING_INSTANCES"] = json.dumps(deployment.serving_instances)
        environment["OUTCROP_MAX_ADAPTERS"] = str(deployment.max_adapters)
    return environment


ServingInstances = Mapping[str, Sequence[str]]
