"""A job and the base weights that it trains: it waits for those that are not in the bucket yet."""

from dataclasses import dataclass

from outcrop.base_models import BaseModel
from outcrop.ids import now
from outcrop.operations import weights
from outcrop.operations.job_events import say
from outcrop.stores.events import EventStore
from outcrop.types.fine_tuning_job import FineTuningJob

_WAITING = "Waiting for the base weights of"


@dataclass(frozen=True)
class Outlook:
    """Of what a job waits for: its weights, or its image."""

    waited_seconds: int = 0
    problem: str = ""
    """Why it will not come."""


def look(job: FineTuningJob, model: BaseModel) -> Outlook | None:
    """None if the weights are there; else they are on their way, or this job has seen that fail.

    A sync that failed before this job waited for it says nothing about the next one, which then begins.
    """
    found = weights.status(model)
    events = EventStore(job.organization_id, job.id).list(limit=20).data
    waits = {event.message: event.created_at for event in events if event.message.startswith(_WAITING)}
    if found.state == "complete":
        if waits:
            say(job, f"The base weights of {model.id} are there")
        return None
    if found.state == "failed" and _waiting(found) in waits:
        return Outlook(problem=found.explanation)
    found = weights.ensure(model)
    message = _waiting(found)
    if message not in waits:
        say(job, message)
    return Outlook(max(0, now() - waits.get(message, now())))


def _waiting(found: weights.Weights) -> str:
    return f"{_WAITING} {found.model.id}: they are being fetched (sync {found.sync})"
