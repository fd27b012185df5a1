"""What happened in a job's steps, each told once: a step that an interrupted run takes again tells its events
in the place of those it told before.
"""

from typing import Any

from outcrop import ids
from outcrop.stores.events import EventStore, new_event
from outcrop.types.event import EventLevel, EventType, FineTuningJobEvent


class StepEvents:
    def __init__(self, project: str, job_id: str) -> None:
        self._store = EventStore(project, job_id)
        told = self._store.every()
        if told:
            ids.go_on_after(told[-1].id)
        self._told = {_kind(one): one for one in told if one.data and "step" in one.data}

    @property
    def is_begun(self) -> bool:
        """Whether an earlier process has told of a step."""
        return bool(self._told)

    def append(
        self,
        level: EventLevel,
        message: str,
        *,
        type: EventType = "message",
        data: dict[str, Any] | None = None,
    ) -> None:
        """`data` with a `step` says of which step it is; without one it is told however often it happens."""
        event = new_event(level, message, type=type, data=data)
        told = self._told.get(_kind(event))
        if told is not None:  # at the same place, and with what is true of the weights that there are now
            event = event.model_copy(update={"id": told.id, "created_at": told.created_at})
        self._store.put(event)


def _kind(event: FineTuningJobEvent) -> tuple[Any, ...]:
    """The same for what is told again: a step has one event with metrics, and one with each message."""
    message = "" if event.type == "metrics" else event.message
    return (event.data or {}).get("step"), event.type, message
