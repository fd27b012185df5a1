"""What can be done with a job's checkpoints, and which of them stay. They answer as models: see `models`."""

from outcrop import s3_keys
from outcrop.ids import checkpoint_model_id, tuned_model_id
from outcrop.serving import tuned_models
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.stores.permissions import PermissionStore
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.model import as_served
from outcrop.types.page import Page

KEPT = 3
"""Of an ended job: so many of the best, and the last."""


def list(job_id: str, *, after: str | None, limit: int, project: str) -> Page[FineTuningJobCheckpoint]:
    JobStore(project).get(job_id)
    return CheckpointStore(project, job_id).list(after=after, limit=limit)


def keep_best(job: FineTuningJob) -> None:
    """Of the checkpoints of a job that trains no more, remove all but the best by validation reward, the
    last, those that other projects may use, and the one that is the job's model.

    One that is on its way out answers no more, then its objects go, and last its place in the list: whatever
    a crash leaves of it goes when this is done again.
    """
    project = job.organization_id
    every = CheckpointStore(project, job.id).every()
    model_id = tuned_model_id(job.model, project, job.user_provided_suffix, job.id)
    model = ModelStore(project).get(model_id)
    for checkpoint in sorted(every, key=_worth)[:-KEPT]:
        step = checkpoint.step_number
        keys = (s3_keys.adapter(project, job.id, step), s3_keys.weights(project, job.id, step))
        id = checkpoint_model_id(model_id, step)
        is_used = (model and model.key in keys) or PermissionStore(project, id).list(limit=1).data
        if checkpoint != every[-1] and not is_used:
            _remove(checkpoint, keys, project)


def _worth(checkpoint: FineTuningJobCheckpoint) -> tuple[float, float, int]:
    """As the trainer ranks them; those without an evaluation come before all others, in their order."""
    metrics = checkpoint.metrics
    drawn = metrics.get("valid_sampled_reward_mean", 0.0)
    return metrics.get("valid_reward_mean", float("-inf")), drawn, checkpoint.step_number


def _remove(checkpoint: FineTuningJobCheckpoint, keys: tuple[str, str], project: str) -> None:
    model_id = checkpoint.fine_tuned_model_checkpoint
    if model := ModelStore(project).get(model_id):
        ModelStore(project).delete(model_id)
        tuned_models.deleted(as_served(model))
    objects = ObjectStore()
    adapter_key, weights_key = keys  # a job has left one of them
    left = [*objects.list(adapter_key), s3_keys.adapter_archive(adapter_key), *objects.list(weights_key)]
    objects.delete_all(left)
    CheckpointStore(project, checkpoint.fine_tuning_job_id).delete(checkpoint.id)
