"""Models and checkpoints: what is listed as a model has an adapter or weights, and its job has succeeded."""

from collections.abc import Iterator

from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.model import TunedModel


def of_project(project: str) -> Iterator[Finding]:
    for model in ModelStore(project).every():
        if model.kind == "model" and _was_not_to_be(project, model):
            yield Finding(
                f"model {model.id}",
                "It answers, and its job has not succeeded.",
                repair=lambda model=model: ModelStore(project).delete(model.id),
                mends="It is no model any more; its checkpoints stay.",
            )
        elif now() - model.created >= GRACE_SECONDS and not ObjectStore().list(model.key):
            what = "Its adapter is" if model.adapter_key else "Its weights are"
            yield Finding(
                f"{model.kind} {model.id}",
                f"{what} not in the bucket (below {model.key}): it cannot answer. Bring the objects back, or "
                "delete the model.",
            )


def _was_not_to_be(project: str, model: TunedModel) -> bool:
    """Whether its job was cancelled or failed just when it became a model."""
    job = JobStore(project).find(model.job_id)
    if job is None or not is_terminal(job.status) or job.status == "succeeded":
        return False
    return now() - (job.finished_at or 0) >= GRACE_SECONDS
