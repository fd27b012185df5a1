"""Jobs and their workflows: a job that has not ended has one that runs, and one that has ended was told of.

Every repair is a conditional write or a start that AWS refuses to do twice, so a job that moves on by itself
meanwhile is not harmed.
"""

from collections.abc import Iterator

from outcrop import s3_keys
from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations import job_end, training, training_end
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.stores import training_jobs, workloads
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.line import Line
from outcrop.stores.objects import ObjectStore
from outcrop.types.fine_tuning_job import FineTuningJob, JobError

_RECENT_SECONDS = 35 * 24 * 3600
"""The sweeper looks at jobs made since, and at older ones that stand in the line: SageMaker trains for 28
days at the most."""
_TOLD_WITHIN_SECONDS = 24 * 3600
"""An end older than that is told to nobody any more."""
_AT_ONCE = 100


def of_project(project: str, *, only_recent: bool = False) -> Iterator[Finding]:
    for job in _jobs(project, only_recent):
        yield from _of_job(job)
    yield from _of_line(project)


def _jobs(project: str, only_recent: bool) -> Iterator[FineTuningJob]:
    store, seen = JobStore(project), set[str]()
    for job in store.every():
        if only_recent and job.created_at < now() - _RECENT_SECONDS:
            in_line = [job_id for job_id in Line(project).job_ids() if job_id not in seen]
            yield from store.find_many(in_line[:_AT_ONCE]).values()
            return
        seen.add(job.id)
        yield job


def _of_job(job: FineTuningJob) -> Iterator[Finding]:
    if is_terminal(job.status):
        yield from _of_ended(job)
    elif job.status == "paused":
        return
    elif job.is_started:
        yield from _of_started(job)
    elif _is_quiet(job):
        yield from _of_not_started(job)


def _of_not_started(job: FineTuningJob) -> Iterator[Finding]:
    status = workloads.execution_status(training_jobs.name(job.id, job.attempt))
    if status is None:
        yield Finding(
            _about(job),
            f"It is {job.status}, and its workflow was never started.",
            repair=lambda: training.start(job),
            mends="It is started.",
            is_swept=True,
        )
    elif status != "RUNNING":
        yield from _abandoned(job, status)


def _of_started(job: FineTuningJob) -> Iterator[Finding]:
    """An attempt after an interruption belongs to the workflow of one before it."""
    names = (training_jobs.name(job.id, attempt) for attempt in range(job.attempt, 0, -1))
    status = next((status for name in names if (status := workloads.execution_status(name))), None)
    if status != "RUNNING":
        yield from _abandoned(job, status or "gone")


def _abandoned(job: FineTuningJob, execution: str) -> Iterator[Finding]:
    """A job whose workflow is over, unless it has moved on since it was read."""
    now_is = JobStore(job.organization_id).get(job.id)
    if (now_is.status, now_is.attempt) != (job.status, job.attempt) or not _is_quiet(job):
        return
    newest = job.training_job or training_jobs.name(job.id, job.attempt)
    training_job = training_jobs.describe_training_job(newest)
    if training_job and training_job["TrainingJobStatus"] in ("InProgress", "Stopping"):
        yield Finding(
            _about(job),
            f"It trains, and its workflow is {execution}: nobody waits for its end. As soon as it has ended, "
            "the sweeper, or this command with --repair, makes it a model.",
        )
        return
    yield Finding(
        _about(job),
        f"It is {job.status}, and its workflow is {execution}.",
        repair=lambda: _end(job, execution),
        mends="It becomes a model if it has been trained, is paused if that was asked for, else fails.",
        is_swept=True,
    )


def _end(job: FineTuningJob, execution: str) -> None:
    project = job.organization_id
    has_result = ObjectStore().exists(s3_keys.result(project, job.id, job.attempt))
    if not has_result and not job.pause_requested:
        message = f"The workflow of the job was lost (its execution is {execution}). Create the job again."
        training_end.fail(project, job.id, job.attempt, JobError(code="internal_error", message=message))
    training_end.register_model(project, job.id, job.attempt)


def _of_ended(job: FineTuningJob) -> Iterator[Finding]:
    ended_ago = now() - (job.finished_at or 0)
    if ended_ago < GRACE_SECONDS:
        return
    if not job.end_told and ended_ago < _TOLD_WITHIN_SECONDS:
        yield Finding(
            _about(job),
            f"It has {job.status}, and no event on the bus told so.",
            repair=lambda: job_end.tell(job),
            mends="The event is sent.",
            is_swept=True,
        )
    if not job.result_files and job.started_attempt and _has_metrics(job):
        yield Finding(
            _about(job),
            "It has ended, and the metrics of its steps were not made a file.",
            repair=lambda: training_end.register_model(job.organization_id, job.id, job.attempt),
            mends="The file is written.",
        )


def _of_line(project: str) -> Iterator[Finding]:
    """Whoever looks at the line drops those that have left; nobody may have looked since the last one did."""
    in_line = Line(project).job_ids()[:_AT_ONCE]
    jobs = JobStore(project).find_many(in_line)
    gone = [job_id for job_id in in_line if _is_long_over(jobs.get(job_id))]
    if gone:
        yield Finding(
            f"line of project {project}",
            f"{', '.join(gone)} stand in it, and neither train nor wait.",
            repair=Line(project).tidy,
            mends="They are dropped.",
            is_swept=True,
        )


def _is_long_over(job: FineTuningJob | None) -> bool:
    return job is None or (is_terminal(job.status) and now() - (job.finished_at or 0) >= GRACE_SECONDS)


def _is_quiet(job: FineTuningJob) -> bool:
    """Whether nothing has happened to the job for so long that nobody is about to start it."""
    newest = EventStore(job.organization_id, job.id).list(limit=1).data
    at = newest[0].created_at if newest else job.created_at
    return now() - at >= GRACE_SECONDS


def _has_metrics(job: FineTuningJob) -> bool:
    events = EventStore(job.organization_id, job.id).every()
    return any(event.type == "metrics" for event in events)


def _about(job: FineTuningJob) -> str:
    return f"job {job.id} of project {job.organization_id}"
