"""What serves tuned models: each inference component and each imported model is of a model that there is."""

from collections.abc import Iterator, Sequence

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
    wanted = {sagemaker_plan.component_of_adapter(model.adapter_key) for model in _models(projects)}
    found = lookups.every(
        "sagemaker", "list_inference_components", "InferenceComponents", NameContains=_OF_A_JOB
    )
    for one in found:
        name, age = one["InferenceComponentName"], now() - one["CreationTime"].timestamp()
        if name.startswith(_OF_A_JOB) and name not in wanted and age >= GRACE_SECONDS:
            yield Finding(
                f"inference component {name}",
                "It serves an adapter, and no project has a model with that.",
                repair=lambda name=name: _delete_component(name),
                mends="It is deleted.",
            )


def of_imported_models(projects: Sequence[str]) -> Iterator[Finding]:
    if settings().serving == "openai_compatible" or lookups.region() not in REGIONS:
        return
    wanted = {bedrock_import_models.name(model.job_id) for model in _models(projects)}
    for one in lookups.every("bedrock", "list_imported_models", "modelSummaries", nameContains=_OF_A_JOB):
        name, age = one["modelName"], now() - one["creationTime"].timestamp()
        if name.startswith(_OF_A_JOB) and name not in wanted and age >= GRACE_SECONDS:
            yield Finding(
                f"imported model {name}",
                "Bedrock has it, and bills its storage, and no project has a model of that job.",
                repair=lambda name=name: _delete_imported(name),
                mends="It is deleted.",
            )


def _models(projects: Sequence[str]) -> Iterator[TunedModel]:
    for project in projects:
        yield from ModelStore(project).every()


def _delete_component(name: str) -> None:
    lookups.ask("sagemaker", "delete_inference_component", InferenceComponentName=name)


def _delete_imported(name: str) -> None:
    lookups.ask("bedrock", "delete_imported_model", modelIdentifier=name)
