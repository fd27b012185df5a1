"""Which job status may follow which. `JobStore.transition` asks here, DynamoDB enforces it."""

from typing import Literal

JobStatus = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]

# A resumed attempt goes back from `running` to `queued`.
_FOLLOWS: dict[JobStatus, tuple[JobStatus, ...]] = {
    "validating_files": ("queued", "failed", "cancelled"),
    "queued": ("running", "failed", "cancelled"),
    "running": ("queued", "succeeded", "failed", "cancelled"),
    "succeeded": (),
    "failed": (),
    "cancelled": (),
}


def is_terminal(status: JobStatus) -> bool:
    return not _FOLLOWS[status]


def may_enter(status: JobStatus) -> list[JobStatus]:
    """The statuses from which a job may move to `status`. A status never follows itself."""
    return [before for before, after in _FOLLOWS.items() if status in after]
