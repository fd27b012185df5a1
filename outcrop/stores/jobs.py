"""Fine-tuning jobs. A job's status changes here and nowhere else, by conditional writes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outcrop.errors import StateError, no_such
from outcrop.lifecycle import JobStatus, may_enter
from outcrop.stores import rows
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.fine_tuning_job import Bill, FineTuningJob
from outcrop.types.page import Page

_NOT_STARTED: tuple[JobStatus, ...] = ("validating_files", "queued")
# What is true of one status and not of the next.
_PASSING = {"pause_requested": None, "estimated_finish": None}


class JobStore:
    def __init__(self, project: str) -> None:
        self._project = project
        self._pk = f"P#{project}#JOB"

    def create(self, job: FineTuningJob, *events: FineTuningJobEvent) -> bool:
        """Write a new job and its first events together; False, and nothing changes, if there is one of that
        id."""
        events_pk = f"P#{self._project}#JOB#{job.id}#EVENT"
        return rows.put_new_together(
            (self._pk, job.id, job), *((events_pk, event.id, event) for event in events)
        )

    def find(self, job_id: str) -> FineTuningJob | None:
        return rows.get(self._pk, job_id, FineTuningJob)

    def find_many(self, job_ids: Sequence[str]) -> dict[str, FineTuningJob]:
        """Those of up to 100 jobs that exist, by id."""
        return rows.get_many(self._pk, job_ids, FineTuningJob)

    def get(self, job_id: str) -> FineTuningJob:
        job = self.find(job_id)
        if job is None:
            raise no_such("fine tuning job", job_id)
        return job

    def list(
        self, *, after: str | None = None, limit: int = 20, metadata: Mapping[str, str] | None = None
    ) -> Page[FineTuningJob]:
        """Newest first; with `metadata`, the jobs whose own metadata has all of these pairs, or none at all
        if it is empty."""

        def keep(job: FineTuningJob) -> bool:
            own = job.metadata or {}
            return metadata.items() <= own.items() if metadata else not own

        return rows.page(
            self._pk,
            FineTuningJob,
            after=after,
            limit=limit,
            prefix="ftjob-",
            keep=None if metadata is None else keep,
        )

    def every(self) -> Iterator[FineTuningJob]:
        """Newest first, read as they are asked for."""
        after = None
        while True:
            page = self.list(after=after, limit=100)
            yield from page.data
            if not page.has_more:
                return
            after = page.last_id

    def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        before: Sequence[JobStatus] | None = None,
        of_attempt: int | None = None,
        **changes: Any,
    ) -> FineTuningJob:
        """Move a job to status `to`, or raise `StateError` if it may not go there: by the lifecycle, because
        its status is none of `before`, because another attempt than `of_attempt` is its own now, or, to
        `queued`, because it was asked to pause.

        The condition is checked by DynamoDB, not by us: a job cancelled while the trainer was finishing stays
        cancelled, whichever write arrives first. A job that has the status already does not enter it again.

        Raises: NotFoundError, StateError (a 400: the SDK retries a 409).
        """
        statuses: list[JobStatus] = [one for one in may_enter(to) if before is None or one in before]
        unless = ["attribute_not_exists(pause_requested)"] if to == "queued" else []
        updated = self._update(job_id, statuses, {"status": to, **_PASSING, **changes}, of_attempt, unless)
        if updated is None:
            job = self.get(job_id)
            raise StateError(f"Job {job_id} is {job.status}; it cannot become {to}.")
        return updated

    def begin(self, job_id: str, attempt: int) -> FineTuningJob:
        """Note that the workflow of an attempt has begun. Raises: NotFoundError, StateError if there is
        nothing for it to do."""
        updated = self._update(job_id, _NOT_STARTED, {"started_attempt": attempt}, attempt)
        return updated or self._refuse(job_id, "there is no training to begin")

    def request_pause(self, job_id: str) -> FineTuningJob:
        """Ask a running job to pause. Raises: NotFoundError, StateError if it does not run."""
        updated = self._update(job_id, ["running"], {"pause_requested": True})
        return updated or self._refuse(job_id, "there is no training to pause")

    def progress(self, job_id: str, attempt: int, **changes: Any) -> FineTuningJob:
        """Record how far a running job is. A refusal is how the trainer learns that the job was cancelled,
        the answer that it was asked to pause.

        Raises: NotFoundError, StateError.
        """
        updated = self._update(job_id, ["running"], {"status": "running", **changes}, attempt)
        return updated or self._refuse(job_id, "it makes no progress any more")

    def note_launch(self, job_id: str, attempt: int, training_job: str) -> FineTuningJob:
        """Write down which training job an attempt is about to start, so that it can be stopped.

        Raises: NotFoundError, StateError if the job is over, paused, or at another attempt.
        """
        updated = self._update(job_id, ["queued", "running"], {"training_job": training_job}, attempt)
        return updated or self._refuse(job_id, "there is no training to start")

    def add_bill(self, job_id: str, bill: Bill) -> FineTuningJob:
        """Write down what a training job cost: once, however often it is told. Raises: NotFoundError."""
        while True:
            job = self.get(job_id)
            if any(one.training_job == bill.training_job for one in job.billed):
                return job
            was, billed = ([one.model_dump() for one in bills] for bills in (job.billed, [*job.billed, bill]))
            updated = rows.update(
                self._pk,
                job_id,
                FineTuningJob,
                {"billed": billed},
                condition="attribute_not_exists(#billed) OR #billed = :was",
                operands={":was": rows.encode({"billed": was})["billed"]},
            )
            if updated is not None:
                return updated

    def set_result_files(self, job_id: str, file_ids: Sequence[str]) -> None:
        """Of a job that has ended. Raises: NotFoundError."""
        changes = {"result_files": file_ids}
        if rows.update(self._pk, job_id, FineTuningJob, changes, condition="attribute_exists(pk)") is None:
            raise no_such("fine tuning job", job_id)

    def note_end_told(self, job_id: str) -> None:
        """That everybody who listens knows how the job has ended."""
        rows.update(self._pk, job_id, FineTuningJob, {"end_told": True}, condition="attribute_exists(pk)")

    def _update(
        self,
        job_id: str,
        before: Sequence[JobStatus],
        changes: dict[str, Any],
        attempt: int | None = None,
        conditions: Sequence[str] = (),
    ) -> FineTuningJob | None:
        """The changed job, or None when its status is not one of `before`, a condition does not hold, or
        there is no such job."""
        if not before:
            return None
        operands: dict[str, Any] = {f":before{i}": status for i, status in enumerate(before)}
        every = [f"#status IN ({', '.join(operands)})", *conditions]
        if attempt is not None:
            operands[":of_attempt"] = attempt
            every.append("#attempt = :of_attempt")
        return rows.update(
            self._pk, job_id, FineTuningJob, changes, condition=" AND ".join(every), operands=operands
        )

    def _refuse(self, job_id: str, reason: str) -> FineTuningJob:
        job = self.get(job_id)
        raise StateError(f"Job {job_id} is {job.status}; {reason}.")
