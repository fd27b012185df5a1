"""What can be done with models: the base models on offer, a project's tuned models, and its checkpoints."""

from outcrop import base_models
from outcrop.errors import NotFoundError
from outcrop.settings import settings
from outcrop.stores.models import ModelStore
from outcrop.types.model import Model, ServedModel, TunedModel
from outcrop.types.page import Page

# `created` is not optional in the API, and when the makers of a base model released it is not our knowledge.
_CATALOGUE_DATE = 1_767_225_600


def list(project: str) -> Page[Model]:
    """Base models, then tuned ones, newest first. Checkpoints are listed with their job."""
    base = [_base(model_id) for model_id in settings().offered_models]
    tuned = [_tuned(model, project) for model in ModelStore(project).list()]
    return Page[Model].of([*base, *tuned])


def retrieve(model_id: str, project: str) -> Model:
    found = _find(model_id, project)
    return _base(found.id) if isinstance(found, base_models.BaseModel) else _tuned(found, project)


def resolve(model_id: str, project: str) -> ServedModel:
    """What serving needs to answer as `model_id`: a base model in any spelling, a tuned one, a checkpoint.

    Raises: NotFoundError, the same for an unknown id and for another project's.
    """
    found = _find(model_id, project)
    if isinstance(found, base_models.BaseModel):
        return ServedModel(id=found.id, base_model=found.id)
    return ServedModel(id=found.id, base_model=found.base_model, adapter_key=found.adapter_key)


def _find(model_id: str, project: str) -> base_models.BaseModel | TunedModel:
    if base_models.find(model_id):
        return base_models.offered(model_id, settings().offered_models)
    tuned = ModelStore(project).get(model_id)
    if tuned is None:
        raise NotFoundError(
            f"The model '{model_id}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )
    return tuned


def _base(model_id: str) -> Model:
    return Model(id=model_id, created=_CATALOGUE_DATE, owned_by="outcrop")


def _tuned(model: TunedModel, project: str) -> Model:
    return Model(id=model.id, created=model.created, owned_by=project)
