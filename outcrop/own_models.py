"""A deployment's own models: what `models` in cdk.json says of one that is not in the catalogue.

    {"id": "acme.qwen3-8b", "like": "qwen.qwen3-8b", "repository": "acme/Qwen3-8B", "revision": "<commit>"}

`like` names the entry of the catalogue that has the rest; without it every field that has no default is said.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from outcrop.catalogue import CATALOGUE
from outcrop.types.base_model import BaseModel

_MODEL: TypeAdapter[BaseModel] = TypeAdapter(BaseModel)
_OF_ITS_OWN = ("id", "like", "aliases", "repository", "revision", "jumpstart")
"""What no other model has as well."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"[\w.-]+", re.ASCII)
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.\w+")
_DEFAULTS = {field.name: field.default for field in fields(BaseModel) if field.default is not MISSING}
_POSITIVE = ("parameters", "context_length", "batch_size", "max_completion_length", "lora_r", "learning_rate")


def read(said: Mapping[str, Any]) -> BaseModel:
    """Raises: ValueError that names the model, the field, and what would be right."""
    name = said.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(f"id must be small letters, digits, '.', '_' and '-', not {name!r}.")
    _check_names(name, said)
    try:
        model = _MODEL.validate_json(json.dumps({"aliases": [], **_inherited(name, said), **said}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"].endswith("missing"):
            raise ValueError(f"'{name}' needs {field}, or `like` with a model that has it.") from error
        raise ValueError(f"'{name}': {field}: {first['msg']}.") from error
    _check(model)
    return model


def to_json(models: list[BaseModel]) -> str:
    """What makes `from_json` give the same, in few letters: an environment variable holds it."""
    return json.dumps([_said(model) for model in models], separators=(",", ":")) if models else "[]"


@cache
def from_json(text: str) -> tuple[BaseModel, ...]:
    return tuple(read(said) for said in json.loads(text))


def _inherited(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    like = said.get("like")
    if like is None:
        return {}
    for entry in CATALOGUE:
        if entry.id == like:
            return {key: value for key, value in asdict(entry).items() if key not in _OF_ITS_OWN}
    known = ", ".join(entry.id for entry in CATALOGUE)
    raise ValueError(f"'{name}': like must be a model of the catalogue, not {like!r}. There are: {known}.")


def _check_names(name: str, said: Mapping[str, Any]) -> None:
    aliases = said.get("aliases")
    taken = {one.lower(): entry.id for entry in CATALOGUE for one in (entry.id, *entry.aliases)}
    for one in (name, *(aliases if isinstance(aliases, list) else ())):
        if str(one).lower() in taken:
            raise ValueError(
                f"'{one}' is a name of the catalogue's {taken[str(one).lower()]}: choose another."
            )
    unknown = said.keys() - {field.name for field in fields(BaseModel)}
    if unknown:
        there_are = ", ".join(field.name for field in fields(BaseModel))
        raise ValueError(f"'{name}' has no field '{min(unknown)}'. There are: {there_are}.")


def _check(model: BaseModel) -> None:
    problem = None
    if model.repository and not _REPOSITORY.fullmatch(model.repository):
        problem = f"repository must be like 'Qwen/Qwen3-8B', not {model.repository!r}"
    elif model.repository and not _COMMIT.fullmatch(model.revision or ""):
        problem = (
            f"revision must be a commit of {model.repository}, 40 hexadecimal digits as `git ls-remote "
            f"https://huggingface.co/{model.repository} HEAD` prints them, not {model.revision!r}"
        )
    elif model.revision and not _REVISION.fullmatch(model.revision):
        problem = f"revision must be letters, digits, '.', '_' and '-', not {model.revision!r}"
    elif not model.instance_types or not all(map(_INSTANCE_TYPE.fullmatch, model.instance_types)):
        problem = (
            f"instance_types must be SageMaker types like 'ml.p5.4xlarge', not {[*model.instance_types]}"
        )
    elif wrong := next((one for one in _POSITIVE if getattr(model, one) <= 0), None):
        problem = f"{wrong} must be more than 0"
    elif model.num_generations < 2:
        problem = "num_generations must be at least 2, for there to be something to compare"
    elif model.max_completion_length >= model.context_length:
        problem = "max_completion_length must be less than context_length, which the prompt is part of"
    elif not 0.8 <= model.shape.parameters / model.parameters <= 1.2:
        problem = (
            f"shape makes {model.shape.parameters / 1e9:.2f} billion parameters, and parameters says "
            f"{model.parameters / 1e9:.2f}: take both from the model's config.json and its card"
        )
    if problem:
        raise ValueError(f"'{model.id}': {problem}.")


def _said(model: BaseModel) -> dict[str, Any]:
    """What sets it apart from the model that it is like, or from the defaults."""
    like = next((asdict(entry) for entry in CATALOGUE if entry.id == model.like), {})
    usual = {"aliases": (), **_DEFAULTS} | {
        key: value for key, value in like.items() if key not in _OF_ITS_OWN
    }
    return {key: value for key, value in asdict(model).items() if key not in usual or usual[key] != value}
