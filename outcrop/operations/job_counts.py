"""How many jobs there are in each state, of all projects together: what the dashboard shows."""

from collections.abc import Sequence

from outcrop.ids import now
from outcrop.lifecycle import JobStatus, is_terminal
from outcrop.stores.jobs import JobStore

_RECENT_SECONDS = 35 * 24 * 3600
"""Older jobs are counted no more: SageMaker trains for 28 days at the most."""
_DAY = 24 * 3600
_STATES: tuple[JobStatus, ...] = (
    "validating_files",
    "queued",
    "running",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
)


def count(projects: Sequence[str]) -> dict[str, int]:
    """By state: those that have not ended, and of those that have ended, the last day's. Beside them
    `longest_queued_seconds`, how long the oldest job in `queued` has existed."""
    counts = dict.fromkeys([*_STATES, "longest_queued_seconds"], 0)
    for project in projects:
        for job in JobStore(project).every():
            age = now() - job.created_at
            if age > _RECENT_SECONDS:
                break
            if not is_terminal(job.status) or now() - (job.finished_at or 0) < _DAY:
                counts[job.status] += 1
            if job.status == "queued":
                counts["longest_queued_seconds"] = max(counts["longest_queued_seconds"], age)
    return counts
