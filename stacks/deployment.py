"""The deployment's settings: the context in cdk.json or on the command line (`-c serving_url=...`), typed."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from constructs import Node

from outcrop.base_models import CATALOGUE, find

_DEFAULT_MODELS = ("openai.gpt-oss-20b", "qwen.qwen3-32b", "smollm2-135m-instruct")


@dataclass(frozen=True)
class Deployment:
    models: tuple[str, ...] = _DEFAULT_MODELS
    """Base models that can be fine-tuned here: ids of `outcrop/base_models.py`."""
    serving_url: str = ""
    """Base URL of the OpenAI-compatible server that holds the models; inference answers 503 without one."""
    training_image: str = ""
    """URI of the trainer's image in ECR; jobs fail with that reason without one."""
    instance_type: str = ""
    """SageMaker instance type of every training job; each model's cheapest fitting one if empty."""
    max_runtime_seconds: int = 86_400
    """A training job still running after that is stopped."""

    @classmethod
    def from_context(cls, node: Node) -> "Deployment":
        """Raises: ValueError that names the setting and what would be right."""
        return cls(
            models=_models(node.try_get_context("models")),
            serving_url=_serving_url(_text(node, "serving_url")),
            training_image=_text(node, "training_image"),
            instance_type=_instance_type(_text(node, "instance_type")),
            max_runtime_seconds=_max_runtime_seconds(node.try_get_context("max_runtime_seconds")),
        )


def _text(node: Node, name: str) -> str:
    value = node.try_get_context(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {value!r}.")
    return (value or "").strip()


def _models(value: Any) -> tuple[str, ...]:
    """A list; on the command line, where every value is a string, ids joined by commas."""
    names = value.split(",") if isinstance(value, str) else value
    if not names:
        return _DEFAULT_MODELS
    known = ", ".join(model.id for model in CATALOGUE)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"models must be a list of model ids, not {value!r}. Known: {known}.")
    models = {name: find(name.strip()) for name in names}
    for name, model in models.items():
        if model is None:
            raise ValueError(f"models: '{name}' is not a model that can be fine-tuned. Known: {known}.")
    return tuple(dict.fromkeys(model.id for model in models.values() if model))


def _serving_url(value: str) -> str:
    if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
        raise ValueError(f"serving_url must be like 'https://models.example.com/v1', not '{value}'.")
    return value


def _instance_type(value: str) -> str:
    if value and not value.startswith("ml."):
        raise ValueError(f"instance_type must be a SageMaker type like 'ml.g6e.xlarge', not '{value}'.")
    return value


def _max_runtime_seconds(value: Any) -> int:
    if value is None:
        return Deployment.max_runtime_seconds
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        seconds = 0
    if not 60 <= seconds <= 432_000:
        raise ValueError(f"max_runtime_seconds must be a whole number from 60 to 432000, not {value!r}.")
    return seconds
