"""What serves tuned models: each inference component and each imported model is of a model that there is."""

from collections.abc import Container, Iterator, Sequence
from datetime import datetime

from outcrop.ids import now
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.serving import bedrock_import_models, sagemaker_plan
from outcrop.serving.bedrock_import_limits import REGIONS
from outcrop.settings import settings
from outcrop.stores import lookups
from outcrop.stores.models import ModelStore
from outcrop.types.model import TunedModel

_OF_A_JOB = "outcrop-ftjob-"


def of_components(projects: Sequence[str]) -> Iterator[Finding]:
    """Those of adapters; a base model's own is nobody's and everybody's."""
    if settings().serving == "openai_compatible":
        return
    wanted = {
        sagemaker_plan.component_of_adapter(model.adapter_key)
        for model in _models(projects)
        if model.adapter_key
    }
    there = lookups.every(
        "sagemaker", "list_inference_components", "InferenceComponents", NameContains=_OF_A_JOB
    )
    for one in there:
        name = one["InferenceComponentName"]
        if _is_left(name, one["CreationTime"], wanted):
            yield Finding(
                f"inference component {name}",
                "It serves an adapter, and no project has a model with that.",
                repair=lambda name=name: _delete_component(name),
                mends="It is deleted.",
            )


def of_imported_models(projects: Sequence[str]) -> Iterator[Finding]:
    """A model may be deleted while its import goes on, which then ends with nobody to wait for it."""
    if settings().serving == "openai_compatible" or lookups.region() not in REGIONS:
        return
    models = (model for model in _models(projects) if model.kind == "model")  # a checkpoint is not imported
    wanted = {bedrock_import_models.name(model.job_id) for model in models}
    for one in lookups.every("bedrock", "list_imported_models", "modelSummaries", nameContains=_OF_A_JOB):
        if _is_left(one["modelName"], one["creationTime"], wanted):
            yield Finding(
                f"imported model {one['modelName']}",
                "Bedrock has it, and bills its storage, and no project has a model of that job.",
                repair=lambda arn=one["modelArn"]: _delete_imported(arn),
                mends="It is deleted.",
                is_swept=True,
            )


def _is_left(name: str, made_at: datetime, wanted: Container[str]) -> bool:
    is_ours = name.startswith(_OF_A_JOB)
    return is_ours and name not in wanted and now() - made_at.timestamp() >= GRACE_SECONDS


def _models(projects: Sequence[str]) -> Iterator[TunedModel]:
    for project in projects:
        yield from ModelStore(project).every()


def _delete_component(name: str) -> None:
    lookups.ask("sagemaker", "delete_inference_component", InferenceComponentName=name)


def _delete_imported(arn: str) -> None:
    lookups.ask("bedrock", "delete_imported_model", modelIdentifier=arn)
