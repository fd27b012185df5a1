"""What can be done with a job's checkpoints. They answer as models too: see `models`."""

from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.jobs import JobStore
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.page import Page


def list(job_id: str, *, after: str | None, limit: int, project: str) -> Page[FineTuningJobCheckpoint]:
    JobStore(project).get(job_id)
    return CheckpointStore(project, job_id).list(after=after, limit=limit)
