"""The deployment's settings: the context in cdk.json or on the command line (`-c serving_url=...`), typed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from constructs import Node

from outcrop.base_models import CATALOGUE, find
from outcrop.types import judge
from outcrop.types.judge import Judges
from stacks import grader_settings
from stacks.grader_settings import GraderSetting

_S3_SOURCE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^*?]+)?/?)?")
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
    judges: Judges = field(default_factory=dict)
    """Models that graders may ask, by the name that graders have for them: see `outcrop/types/judge.py`."""
    graders: Mapping[str, GraderSetting] = field(default_factory=dict)
    """Folders to deploy as Lambda functions that grade, by the function's name: see `grader_settings.py`."""
    s3_sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Project, or `*` for all, to the `s3://bucket/prefix` below which it may name objects as files."""
    max_concurrent_jobs: int = 2
    """Jobs of one project that train at the same time; more of them wait."""
    requests_per_second: int = 500
    """That each method of the API takes in the long run; more are answered 429."""
    request_burst: int = 1000
    """Requests that a method takes at once."""

    @property
    def judges_json(self) -> str:
        """As OUTCROP_JUDGES has them."""
        return json.dumps({name: one.model_dump(exclude_none=True) for name, one in self.judges.items()})

    @classmethod
    def from_context(cls, node: Node) -> "Deployment":
        """Raises: ValueError that names the setting and what would be right."""
        return cls(
            models=_models(node.try_get_context("models")),
            serving_url=_serving_url(_text(node, "serving_url")),
            training_image=_text(node, "training_image"),
            instance_type=_instance_type(_text(node, "instance_type")),
            max_runtime_seconds=_whole_number(node, "max_runtime_seconds", 60, 432_000),
            max_concurrent_jobs=_whole_number(node, "max_concurrent_jobs", 1, 100),
            requests_per_second=_whole_number(node, "requests_per_second", 1, 10_000),
            request_burst=_whole_number(node, "request_burst", 1, 5_000),
            judges=_judges(node.try_get_context("judges")),
            graders=_graders(node.try_get_context("graders")),
            s3_sources=_s3_sources(node.try_get_context("s3_sources")),
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


def _whole_number(node: Node, name: str, least: int, most: int) -> int:
    value = node.try_get_context(name)
    if value is None:
        return getattr(Deployment, name)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if not least <= number <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}.")
    return number


def _judges(value: Any) -> Judges:
    try:
        return judge.parse(_object(value))
    except ValueError as error:
        example = '{"gpt-5-mini": {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}}'
        raise ValueError(f"judges must be like {example}. {error}.") from error


def _graders(value: Any) -> dict[str, GraderSetting]:
    try:
        graders = _object(value)
    except ValueError:
        graders = value
    return grader_settings.parse(graders)


def _object(value: Any) -> Any:
    """On the command line, JSON text. Raises: ValueError if it is not."""
    return json.loads(value) if isinstance(value, str) and value else value or {}


def _s3_sources(value: Any) -> dict[str, list[str]]:
    try:
        sources = _object(value)
    except ValueError:
        sources = None
    if isinstance(sources, dict) and all(
        isinstance(uris, list) and all(isinstance(uri, str) and _S3_SOURCE.fullmatch(uri) for uri in uris)
        for uris in sources.values()
    ):
        return sources
    raise ValueError(
        f's3_sources must be like {{"my-project": ["s3://bucket/prefix"], "*": []}}, not {value!r}.'
    )
