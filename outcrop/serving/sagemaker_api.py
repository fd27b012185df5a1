"""SageMaker's calls as promises that may be made twice: what is there already was made, what is gone was
deleted."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from outcrop.serving.sagemaker_plan import MAX_COPIES, Plan
from outcrop.stores.clients import client

Description = Mapping[str, Any]

_MISSING = ("could not find", "not found", "does not exist")
_THERE = ("already exist",)


def create_model(request: Mapping[str, Any]) -> None:
    _unless(_THERE, client("sagemaker").create_model, request)


def create_endpoint_config(request: Mapping[str, Any]) -> None:
    _unless(_THERE, client("sagemaker").create_endpoint_config, request)


def create_endpoint(name: str, config: str) -> None:
    """Raises: ClientError, such as ResourceLimitExceeded, which names the quota."""
    request = {"EndpointName": name, "EndpointConfigName": config}
    _unless(_THERE, client("sagemaker").create_endpoint, request)


def endpoint(name: str) -> Description | None:
    return _found(client("sagemaker").describe_endpoint, {"EndpointName": name})


def delete_endpoint(description: Description) -> None:
    """The endpoint, its configuration, and the model made with that."""
    sagemaker, config = client("sagemaker"), str(description["EndpointConfigName"])
    _unless(_MISSING, sagemaker.delete_endpoint, {"EndpointName": description["EndpointName"]})
    _unless(_MISSING, sagemaker.delete_endpoint_config, {"EndpointConfigName": config})
    _unless(_MISSING, sagemaker.delete_model, {"ModelName": config.rpartition("-")[0]})


def create_component(request: Mapping[str, Any]) -> None:
    _unless(_THERE, client("sagemaker").create_inference_component, request)


def component(name: str) -> Description | None:
    return _found(client("sagemaker").describe_inference_component, {"InferenceComponentName": name})


def components(endpoint: str) -> Iterator[str]:
    """Names of all on an endpoint, also of one that is gone: its components outlive it."""
    pages = client("sagemaker").get_paginator("list_inference_components")
    for page in pages.paginate(EndpointNameEquals=endpoint):
        for one in page["InferenceComponents"]:
            yield one["InferenceComponentName"]


def delete_component(name: str) -> bool:
    """Whether it is on its way out: SageMaker deletes none that is being changed, or that others stand on."""
    try:
        _unless(_MISSING, client("sagemaker").delete_inference_component, {"InferenceComponentName": name})
    except ClientError as error:
        if _code(error) != "ValidationException":
            raise
        return False
    return True


def wake(plan: Plan) -> None:
    client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=plan.component, DesiredRuntimeConfig={"CopyCount": 1}
    )


def scale(plan: Plan) -> None:
    """Have the base model's copies follow its use, down to none."""
    scaling = client("application-autoscaling")
    scaling.register_scalable_target(**plan.scalable, MinCapacity=0, MaxCapacity=MAX_COPIES)
    scaling.put_scaling_policy(**plan.scaling_policy())


def stop_scaling(plan: Plan) -> None:
    """The policy and its alarms go, too."""
    try:
        client("application-autoscaling").deregister_scalable_target(**plan.scalable)
    except ClientError as error:
        if _code(error) != "ObjectNotFoundException":
            raise


def made_at(description: Description) -> datetime:
    return description["CreationTime"]


def _found(describe: Any, request: Mapping[str, Any]) -> Description | None:
    try:
        return describe(**request)
    except ClientError as error:
        if not _says(error, _MISSING):
            raise
        return None


def _unless(words: tuple[str, ...], call: Any, request: Mapping[str, Any]) -> None:
    """Make a call; that it is refused in these words is success."""
    try:
        call(**request)
    except ClientError as error:
        if not _says(error, words):
            raise


def _says(error: ClientError, words: tuple[str, ...]) -> bool:
    """SageMaker has one code for all these, and tells them apart in its message."""
    message = str(error.response.get("Error", {}).get("Message", "")).lower()
    return _code(error) in ("ValidationException", "ResourceNotFound", "ResourceInUse") and any(
        one in message for one in words
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
