"""Tuned models and checkpoints that answer as models, by model id: a project's own, and those it may use.

A model that is shared is one row of its owner. The project it is shared with has a row that points there,
and it is the owner's rows, the model and the permission, that decide at every use.
"""

from typing import Annotated

from pydantic import Field, RootModel

from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.types.model import SharedModel, TunedModel
from outcrop.types.permission import CheckpointPermission


class _Row(RootModel[Annotated[TunedModel | SharedModel, Field(discriminator="kind")]]):
    """What lies under a model id."""


class ModelStore:
    def __init__(self, project: str) -> None:
        self._project = project
        self._pk = partition(project)

    def put(self, model: TunedModel) -> None:
        rows.put(self._pk, model.id, model)

    def get(self, model_id: str) -> TunedModel | None:
        """One of the project's own."""
        row = self._row(model_id)
        return row if isinstance(row, TunedModel) else None

    def find(self, model_id: str) -> tuple[TunedModel, str] | None:
        """One that the project may use, and whose it is. One read if it is its own, two if it is shared."""
        row = self._row(model_id)
        if row is None or isinstance(row, TunedModel):
            return row and (row, self._project)
        permission, model = rows.get_both(
            (permission_partition(row.owner, model_id), row.permission_id, CheckpointPermission),
            (partition(row.owner), model_id, TunedModel),
        )
        return (model, row.owner) if permission and model else None

    def delete(self, model_id: str) -> None:
        """Deleting what is not there is success."""
        dynamodb_table().delete_item(Key={"pk": self._pk, "sk": model_id})

    def every(self) -> list[TunedModel]:
        """The project's own, its checkpoints too."""
        found = [row.root for row in rows.every(self._pk, _Row)]
        return [model for model in found if isinstance(model, TunedModel)]

    def list(self) -> list[TunedModel | SharedModel]:
        """The project's tuned models, and all that is shared with it, newest first. Its own checkpoints are
        listed with their job.
        """
        found = [row.root for row in rows.every(self._pk, _Row)]
        listed = [model for model in found if model.kind != "checkpoint"]
        return sorted(listed, key=lambda model: (model.created, model.id), reverse=True)

    def _row(self, model_id: str) -> TunedModel | SharedModel | None:
        row = rows.get(self._pk, model_id, _Row)
        return row.root if row else None


def partition(project: str) -> str:
    return f"P#{project}#MODEL"


def permission_partition(owner: str, model_id: str) -> str:
    return f"P#{owner}#MODEL#{model_id}#PERMISSION"
