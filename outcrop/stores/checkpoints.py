"""A job's checkpoints, newest first. Ids are made of job and step, so one written twice is one checkpoint."""

from collections.abc import Sequence

from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.page import Page


class CheckpointStore:
    def __init__(self, project: str, job_id: str) -> None:
        self._pk = f"P#{project}#JOB#{job_id}#CHECKPOINT"

    def put(self, checkpoint: FineTuningJobCheckpoint) -> None:
        rows.put(self._pk, checkpoint.id, checkpoint)

    def every(self) -> Sequence[FineTuningJobCheckpoint]:
        """In the order of their steps."""
        return rows.every(self._pk, FineTuningJobCheckpoint)

    def delete(self, checkpoint_id: str) -> None:
        """Deleting what is not there is success."""
        dynamodb_table().delete_item(Key={"pk": self._pk, "sk": checkpoint_id})

    def list(self, *, after: str | None = None, limit: int = 10) -> Page[FineTuningJobCheckpoint]:
        return rows.page(self._pk, FineTuningJobCheckpoint, after=after, limit=limit, prefix="ftckpt-")
