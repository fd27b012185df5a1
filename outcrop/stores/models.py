"""Tuned models and checkpoints that answer as models, by model id."""

from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.types.model import TunedModel


class ModelStore:
    def __init__(self, project: str) -> None:
        self._pk = f"P#{project}#MODEL"

    def put(self, model: TunedModel) -> None:
        rows.put(self._pk, model.id, model)

    def get(self, model_id: str) -> TunedModel | None:
        return rows.get(self._pk, model_id, TunedModel)

    def delete(self, model_id: str) -> None:
        """Deleting what is not there is success."""
        dynamodb_table().delete_item(Key={"pk": self._pk, "sk": model_id})

    def list(self) -> list[TunedModel]:
        """Tuned models, newest first; a job's checkpoints are listed with the job."""
        models = [model for model in rows.every(self._pk, TunedModel) if model.kind == "model"]
        return sorted(models, key=lambda model: (model.created, model.id), reverse=True)
