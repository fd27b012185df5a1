"""The models that can be trained: the catalogue's, and the deployment's own.

A deployment offers some of them (`Settings.base_models`). The rest stay in the catalogue so that asking for
one gets an answer that says what it would take.
"""

from collections.abc import Sequence

from outcrop import own_models
from outcrop.catalogue import CATALOGUE
from outcrop.errors import NotFoundError
from outcrop.settings import settings
from outcrop.types.base_model import BaseModel


def known() -> tuple[BaseModel, ...]:
    """All of them."""
    return (*CATALOGUE, *own_models.from_json(settings().own_models))


def find(model: str, among: Sequence[BaseModel] | None = None) -> BaseModel | None:
    """The entry for an id or an alias, in any case of letters; among those known if `among` is None."""
    wanted = model.lower()
    for entry in known() if among is None else among:
        if wanted in (entry.id, *(alias.lower() for alias in entry.aliases)):
            return entry
    return None


def offered(model: str, available: Sequence[str], *, param: str = "model") -> BaseModel:
    """The entry for `model`.

    Raises: NotFoundError, which says what is offered here and what an absent model needs.
    """
    entry = find(model)
    if entry is not None and entry.id in available:
        return entry
    offer = ", ".join(available)
    if entry is None:
        raise NotFoundError(
            f"The model '{model}' does not exist. Models that can be fine-tuned here: {offer}.",
            param=param,
            code="model_not_found",
        )
    raise NotFoundError(
        f"The model '{entry.id}' is not offered by this deployment: it needs {entry.needs()}. "
        f"Models that can be fine-tuned here: {offer}.",
        param=param,
        code="model_not_available",
    )
