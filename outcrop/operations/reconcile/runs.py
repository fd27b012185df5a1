"""What runs in the account for jobs: each execution and training job has a job that wants it to run."""

from collections.abc import Iterator, Sequence

from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.stores import training_jobs, workloads
from outcrop.stores.jobs import JobStore
from outcrop.stores.workloads import Workload
from outcrop.types.fine_tuning_job import FineTuningJob


def of_training_jobs(projects: Sequence[str]) -> Iterator[Finding]:
    """Machines that nobody wants are paid for: those of jobs that have ended or are paused, and of no job."""
    for run in workloads.running_training_jobs():
        if now() - run.started_at < GRACE_SECONDS:
            continue
        job = _job(run, projects)
        if job is None:
            says, is_swept = "It trains, and no project has such a job.", False
        elif is_terminal(job.status) or job.status == "paused":
            says, is_swept = f"It trains, and its job is {job.status}.", True
        elif job.attempt > run.attempt:
            says, is_swept = f"It trains, and its job is at attempt {job.attempt} already.", True
        elif job.training_job and job.training_job != run.name:
            says, is_swept = f"It trains, and its job trains as {job.training_job}.", True
        else:
            continue
        yield Finding(
            f"training job {run.name}",
            says,
            repair=lambda name=run.name: training_jobs.stop_training_job(name),
            mends="It is stopped; what it saved stays.",
            is_swept=is_swept,
        )


def of_executions(projects: Sequence[str]) -> Iterator[Finding]:
    for run in workloads.running_executions():
        if now() - run.started_at >= GRACE_SECONDS and _job(run, projects) is None:
            yield Finding(
                f"execution {run.name}",
                "It runs, and no project has such a job.",
                repair=lambda name=run.name: workloads.stop_execution(name),
                mends="It is stopped.",
            )


def _job(run: Workload, projects: Sequence[str]) -> FineTuningJob | None:
    found = (JobStore(project).find(run.job_id) for project in projects)
    return next((job for job in found if job), None)
