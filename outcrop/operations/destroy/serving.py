"""What serves, made at run time and known to no stack: SageMaker's endpoints and all that is on them, models
that Bedrock has imported."""

from typing import Any

from outcrop.operations.destroy.kind import Kind
from outcrop.serving.bedrock_import_limits import REGIONS
from outcrop.stores import lookups

_OURS = "outcrop-"


def kinds(region: str) -> list[Kind]:
    """In the order in which they stand on each other, from the top."""
    of_sagemaker = [
        Kind("scaling of", _scaled, _stop_scaling),
        _kind("inference component", "inference_component", "InferenceComponents", "InferenceComponentName"),
        _kind("endpoint", "endpoint", "Endpoints", "EndpointName"),
        _kind("endpoint configuration", "endpoint_config", "EndpointConfigs", "EndpointConfigName"),
        _kind("model", "model", "Models", "ModelName"),
    ]
    if region not in REGIONS:  # where Bedrock has no imports, and answers as if one might not ask
        return of_sagemaker
    return [
        *of_sagemaker,
        # Bedrock stops no import: its model is deleted when it is there.
        Kind("import", _imports, lambda _: None),
        Kind(
            "imported model",
            _imported,
            lambda name: lookups.ask("bedrock", "delete_imported_model", modelIdentifier=name),
        ),
    ]


def _kind(name: str, operation: str, field: str, key: str) -> Kind:
    """Of SageMaker, which calls everything alike."""

    def found() -> list[str]:
        every = lookups.every("sagemaker", f"list_{operation}s", field, NameContains=_OURS)
        return [one[key] for one in every if one[key].startswith(_OURS)]

    def remove(one: str) -> None:
        about: dict[str, Any] = {key: one}
        lookups.ask("sagemaker", f"delete_{operation}", **about)

    return Kind(name, found, remove)


def _scaled() -> list[str]:
    targets = lookups.every(
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets",
        ServiceNamespace="sagemaker",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
    )
    return [
        one["ResourceId"] for one in targets if one["ResourceId"].startswith(f"inference-component/{_OURS}")
    ]


def _stop_scaling(target: str) -> None:
    """Its policies and their alarms go, too."""
    lookups.ask(
        "application-autoscaling",
        "deregister_scalable_target",
        ServiceNamespace="sagemaker",
        ResourceId=target,
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
    )


def _imports() -> list[str]:
    found = lookups.every(
        "bedrock",
        "list_model_import_jobs",
        "modelImportJobSummaries",
        nameContains=_OURS,
        statusEquals="InProgress",
    )
    return [one["jobName"] for one in found if one["jobName"].startswith(_OURS)]


def _imported() -> list[str]:
    found = lookups.every("bedrock", "list_imported_models", "modelSummaries", nameContains=_OURS)
    return [one["modelName"] for one in found if one["modelName"].startswith(_OURS)]
