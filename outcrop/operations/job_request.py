"""What a request for a fine-tuning job must be like, beyond its schema."""

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from outcrop.base_models import BaseModel
from outcrop.errors import APIError
from outcrop.operations import machines
from outcrop.operations.bad_request import explain
from outcrop.settings import settings
from outcrop.types.chat import ResponseFormat
from outcrop.types.fine_tuning_job import CreateFineTuningJob
from outcrop.types.method import Method

_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUPPORTED = "only 'reinforcement' is supported here"
_EFFORT = "method.reinforcement.hyperparameters.reasoning_effort"
_FINETUNING_TYPE = "method.reinforcement.hyperparameters.finetuning_type"
_RESPONSE_FORMAT = TypeAdapter[Any](ResponseFormat)


def check(request: CreateFineTuningJob) -> None:
    """Raises: APIError for a suffix that no model's id could hold, and for what would change the result and
    is not supported."""
    if request.suffix is not None and not _SUFFIX.fullmatch(request.suffix):
        raise APIError(
            f"suffix: '{request.suffix}' may hold letters, digits, '.', '_' and '-' only: it becomes part of "
            "the model's id.",
            param="suffix",
        )
    if request.integrations:
        asked = ", ".join(f"'{one.get('type')}'" for one in request.integrations)
        raise APIError(
            f"integrations: {asked} is not supported, nor is any other; every metric is in the job's events, "
            "and in its result_files.",
            param="integrations",
        )
    if any(value != "auto" for value in (request.hyperparameters or {}).values()):
        raise APIError(
            "hyperparameters: those of a reinforcement job belong in method.reinforcement.hyperparameters.",
            param="hyperparameters",
        )


def check_reasoning(method: Method, model: BaseModel) -> None:
    """Raises: APIError for an effort that the model's chat template does not take."""
    effort = method.reinforcement.hyperparameters.reasoning_effort
    if effort != "default" and model.reasoning and effort not in model.reasoning:
        raise APIError(
            f"{_EFFORT}: {model.id} takes {', '.join(model.reasoning)} or default, not '{effort}'.",
            param=_EFFORT,
        )


def check_finetuning_type(method: Method, model: BaseModel) -> None:
    """Raises: APIError for all weights on a deployment whose training takes adapters alone."""
    if method.reinforcement.hyperparameters.finetuning_type == "lora":
        return
    problem = None
    if (count := machines.instance_count(model.id)) > 1:
        problem = (
            f"jobs on {model.id} train on {count} machines together (`instance_count` in cdk.json), which "
            "share an adapter"
        )
    elif sampling := int(settings().sampler_gpus):
        problem = (
            f"{sampling} of a machine's GPUs only sample (`sampler_gpus` in cdk.json), and are handed an "
            "adapter"
        )
    if problem:
        raise APIError(
            f"{_FINETUNING_TYPE}: 'full' cannot be had here: {problem}. Leave it out to train an adapter.",
            param=_FINETUNING_TYPE,
        )


def method(request: CreateFineTuningJob) -> Method:
    """The method, checked; other blocks beside the one that `type` names are left out, as OpenAI does.

    Raises: APIError.
    """
    if request.method is None:
        raise APIError(
            f"method: this field is required: {_SUPPORTED}, and without it OpenAI means 'supervised'.",
            param="method",
        )
    asked = request.method.get("type")
    if asked is None:
        raise APIError(f"method.type: this field is required: {_SUPPORTED}.", param="method.type")
    if asked != "reinforcement":
        raise APIError(f"method.type: {asked!r} is not supported; {_SUPPORTED}.", param="method.type")
    block: dict[str, Any] = {
        name: request.method[name] for name in Method.model_fields if name in request.method
    }
    try:
        method = Method.model_validate(block)
    except ValidationError as error:
        raise explain(error, block, below="method") from error
    if not request.validation_file and method.reinforcement.hyperparameters.early_stopping_patience != "auto":
        param = "method.reinforcement.hyperparameters.early_stopping_patience"
        raise APIError(
            f"{param}: it counts evaluations, which need a validation file: give validation_file, or leave "
            "this out.",
            param=param,
        )
    response_format = method.reinforcement.response_format
    if response_format is not None:
        try:
            _RESPONSE_FORMAT.validate_python(response_format)
        except ValidationError as error:
            raise explain(error, response_format, below="method.reinforcement.response_format") from error
    return method
