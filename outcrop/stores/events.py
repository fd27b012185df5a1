"""A job's events: what happened and the metrics of each step, one row each, appended; a step that is taken
again writes its own anew, under their ids.
"""

from collections.abc import Sequence
from typing import Any

from outcrop.ids import new_id, now
from outcrop.stores import rows
from outcrop.types.event import EventLevel, EventType, FineTuningJobEvent
from outcrop.types.page import Page


class EventStore:
    def __init__(self, project: str, job_id: str) -> None:
        self._pk = f"P#{project}#JOB#{job_id}#EVENT"

    def append(
        self,
        level: EventLevel,
        message: str,
        *,
        type: EventType = "message",
        data: dict[str, Any] | None = None,
        after: str | None = None,
    ) -> FineTuningJobEvent:
        event = new_event(level, message, type=type, data=data, after=after)
        self.put(event)
        return event

    def put(self, event: FineTuningJobEvent) -> None:
        rows.put(self._pk, event.id, event)

    def every(self) -> Sequence[FineTuningJobEvent]:
        """Oldest first."""
        return rows.every(self._pk, FineTuningJobEvent)

    def list(self, *, after: str | None = None, limit: int = 20) -> Page[FineTuningJobEvent]:
        """Newest first."""
        return rows.page(self._pk, FineTuningJobEvent, after=after, limit=limit, prefix="ftevent-")


def new_event(
    level: EventLevel,
    message: str,
    *,
    type: EventType = "message",
    data: dict[str, Any] | None = None,
    after: str | None = None,
) -> FineTuningJobEvent:
    """What happened now, and after the event with the id `after`, whose clock may be ahead of ours."""
    return FineTuningJobEvent(
        id=new_id("ftevent-", after=after),
        created_at=now(),
        level=level,
        message=message,
        type=type,
        data=data,
    )
