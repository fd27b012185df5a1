"""What can be done with models: the base models on offer, a project's tuned models and checkpoints, and those
that other projects share with it."""

from outcrop import base_models
from outcrop.errors import APIError, NotFoundError
from outcrop.serving import tuned_models
from outcrop.settings import settings
from outcrop.stores.models import ModelStore
from outcrop.stores.permissions import PermissionStore
from outcrop.types.call import Call
from outcrop.types.model import Model, ModelDeleted, ServedModel, SharedModel, as_served
from outcrop.types.page import Page

# `created` is not optional in the API, and when the makers of a base model released it is not our knowledge.
_CATALOGUE_DATE = 1_767_225_600


def list(project: str) -> Page[Model]:
    """Base models, then tuned ones, newest first, with what is shared with the project among them."""
    base = [_base(model_id) for model_id in settings().offered_models]
    tuned = [
        Model(
            id=model.id,
            created=model.created,
            owned_by=model.owner if isinstance(model, SharedModel) else project,
        )
        for model in ModelStore(project).list()
    ]
    return Page[Model].of([*base, *tuned])


def retrieve(model_id: str, project: str) -> Model:
    if base_models.find(model_id):
        return _base(base_models.offered(model_id, settings().offered_models).id)
    found = ModelStore(project).find(model_id)
    if found is None:
        raise model_not_found(model_id)
    model, owner = found
    return Model(id=model.id, created=model.created, owned_by=owner)


def resolve(model_id: str, project: str) -> ServedModel:
    """What serving needs to answer as `model_id`: a base model in any spelling, a tuned one, a checkpoint,
    one shared with the project.

    It reads the table each time: a model deleted or no longer shared is gone though a server still holds its
    adapter.

    Raises: NotFoundError, the same for an unknown id and for another project's.
    """
    if base_models.find(model_id):
        base = base_models.offered(model_id, settings().offered_models)
        return ServedModel(id=base.id, base_model=base.id)
    found = ModelStore(project).find(model_id)
    if found is None:
        raise model_not_found(model_id)
    model, _ = found
    return as_served(model)


def delete(model_id: str, call: Call) -> ModelDeleted:
    """A tuned model or a checkpoint of the project's own answers no more, here or where it was shared.

    Each goes by itself: a job's checkpoints outlive its model. The job keeps naming it in `fine_tuned_model`,
    and the adapter stays in the bucket with the job's other results.
    """
    if entry := base_models.find(model_id):
        raise APIError(
            f"The model '{entry.id}' is a base model; only tuned models and checkpoints can be deleted.",
            param="model",
            code="model_not_deletable",
        )
    store = ModelStore(call.project)
    if model := store.get(model_id):
        PermissionStore(call.project, model_id).delete_all()
        store.delete(model_id)
        tuned_models.deleted(as_served(model))
    elif not call.retry:  # else an earlier try, whose reply was lost, has deleted it
        raise model_not_found(model_id)
    return ModelDeleted(id=model_id)


def model_not_found(model_id: str) -> NotFoundError:
    """The one answer for a model that is unknown, deleted, or another project's and not shared."""
    return NotFoundError(
        f"The model '{model_id}' does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )


def _base(model_id: str) -> Model:
    return Model(id=model_id, created=_CATALOGUE_DATE, owned_by="outcrop")
