"""The `fine_tuning.job.event` object: what happened, and the metrics of each step."""

from typing import Any, Literal

from pydantic import BaseModel

EventLevel = Literal["info", "warn", "error"]
EventType = Literal["message", "metrics"]


class FineTuningJobEvent(BaseModel):
    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: EventLevel
    message: str
    type: EventType = "message"
    data: dict[str, Any] | None = None
