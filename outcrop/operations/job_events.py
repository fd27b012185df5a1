"""What the workflow says in a job's events: once, though its steps may run twice."""

from outcrop.stores.events import EventStore
from outcrop.types.event import EventLevel
from outcrop.types.fine_tuning_job import FineTuningJob


def say(job: FineTuningJob, message: str, *, level: EventLevel = "info") -> None:
    """Append an event, unless a step that ran before has appended it."""
    events = EventStore(job.organization_id, job.id)
    told = events.list(limit=20).data
    if all(event.message != message for event in told):
        events.append(level, message, after=told[0].id if told else None)
