"""The line that a project's jobs wait in before they train: one row, the ids of its jobs in order.

The first so many may train; they keep their places whatever happens behind them. Those behind them stand in
the order of their creation. A job leaves by being over or paused: whoever looks at the line drops it, so
nothing has to be tidied up after a crash.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError
from pydantic import BaseModel

from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob

_SK = "line"
_LOOKED_AT = 100
"""From the front: as many as one BatchGetItem takes. Those behind are looked at when they come closer."""
_LONGEST = 2000
"""Entries; a row holds three times as many. A job that finds the line so long asks again later."""
_LATER_SECONDS = 3600


class _Entry(BaseModel):
    job_id: str
    since: int


class _Line(BaseModel):
    entries: list[_Entry] = []
    version: int = 0


@dataclass(frozen=True)
class Place:
    ahead: int
    """Jobs that come first."""
    waited_seconds: int
    is_new: bool
    """Whether the job has just joined the line."""


class Line:
    def __init__(self, project: str) -> None:
        self._pk = f"P#{project}#LINE"
        self._jobs = JobStore(project)

    def place(self, job_id: str, *, may_train: int) -> Place:
        """A job's place in the line, which it joins unless it stands in it; the first `may_train` train."""
        while True:
            line = rows.get(self._pk, _SK, _Line) or _Line()
            entries = self._without_gone(line.entries, job_id)
            is_new = all(entry.job_id != job_id for entry in entries)
            if is_new and len(entries) >= _LONGEST:
                return Place(len(entries), _LATER_SECONDS, is_new=False)
            if is_new:
                joined = [*entries[may_train:], _Entry(job_id=job_id, since=now())]
                entries = [*entries[:may_train], *sorted(joined, key=lambda entry: entry.job_id)]
            if entries == line.entries or self._put(entries, line.version):
                ahead, entry = next(
                    (place, entry) for place, entry in enumerate(entries) if entry.job_id == job_id
                )
                return Place(ahead, max(0, now() - entry.since), is_new)

    def job_ids(self) -> list[str]:
        """Those in line, in order; some may have left it without anybody having looked since."""
        line = rows.get(self._pk, _SK, _Line) or _Line()
        return [entry.job_id for entry in line.entries]

    def tidy(self) -> None:
        """Drop those at the front that have left."""
        line = rows.get(self._pk, _SK, _Line) or _Line()
        entries = self._without_gone(line.entries, "")
        if entries != line.entries:
            self._put(entries, line.version)  # refused, somebody else has looked meanwhile

    def _without_gone(self, entries: Sequence[_Entry], job_id: str) -> list[_Entry]:
        others = [entry.job_id for entry in entries[:_LOOKED_AT] if entry.job_id != job_id]
        jobs = self._jobs.find_many(others)
        gone = {other for other in others if not _stays(jobs.get(other))}
        return [entry for entry in entries if entry.job_id not in gone]

    def _put(self, entries: Sequence[_Entry], version: int) -> bool:
        """False if somebody else has written meanwhile."""
        line = _Line(entries=list(entries), version=version + 1)
        try:
            dynamodb_table().put_item(
                Item=rows.item(self._pk, _SK, line),
                ConditionExpression="attribute_not_exists(pk) OR version = :seen",
                ExpressionAttributeValues={":seen": version},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _stays(job: FineTuningJob | None) -> bool:
    """Whether a job still waits or trains. One that was resumed, but not started, joins again."""
    return job is not None and job.status != "paused" and not is_terminal(job.status) and job.is_started
