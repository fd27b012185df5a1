"""ClassifyStop: what becomes of a job whose training job did not complete, or was lost sight of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from outcrop import base_models
from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations import job_memory, limits, training_end, training_failure
from outcrop.operations.job_events import say
from outcrop.operations.launches import Launch, Refusal
from outcrop.operations.machines import Machine
from outcrop.operations.training_failure import Failure, MachineFailure, TimeIsUp
from outcrop.stores import training_jobs
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob, JobError

MAX_ATTEMPTS = 3
"""Attempts of a job whose machine fails; all but the first resume from the newest checkpoint. Those that a
pause ended are not counted."""
_FIRST = Launch()
_SOONEST_LOOK_SECONDS = 60
_LATEST_LOOK_SECONDS = 1800


@dataclass(frozen=True)
class Verdict:
    """What the workflow does after its training job stopped, or after it lost sight of it."""

    next: Literal["over", "wait", "launch", "register", "resume"]
    attempt: int
    launch: Launch = _FIRST
    wait: int = 0
    """Seconds, before it looks again or asks for a machine again."""


def classify(project: str, job_id: str, attempt: int, launch: Launch, error: str, cause: str) -> Verdict:
    """Find out why the Train state did not succeed (its `error` and `cause`); fail the job if that is final.

    A training job still in progress is one whose start was not confirmed to the workflow: it is waited for,
    not started again. A machine that SageMaker does not give is replaced by the next one; one that failed
    under a running job costs it an attempt, not its life. Where the job was asked to pause, RegisterModel
    sees whether it came to its end before.
    """
    job = JobStore(project).get(job_id)
    description = training_jobs.describe_training_job(training_jobs.name(job_id, attempt, launch.number))
    status = None if description is None else description["TrainingJobStatus"]
    if description is not None and status not in ("InProgress", "Stopping"):
        job = limits.note(job, description)
    if job.attempt > attempt or job.status == "paused":
        return Verdict("over", attempt, launch)
    if description is not None and status in ("InProgress", "Stopping"):
        waited = int(now() - description["CreationTime"].timestamp())
        soon = max(_SOONEST_LOOK_SECONDS, min(_LATEST_LOOK_SECONDS, waited // 20))
        return Verdict("wait", attempt, launch, soon)
    register = Verdict("register", attempt, launch)
    if status == "Completed" or is_terminal(job.status):
        return register
    fitting = _machines(job)
    if description is None:
        asked_for = launch.machine(job, fitting) or fitting[0]
        stop = training_failure.of_create(error, cause, asked_for)
    else:
        stop = training_failure.of_description(description, error)
    is_final = isinstance(stop, Failure) and not isinstance(stop, MachineFailure) and status != "Stopped"
    if job.pause_requested and not is_final:
        return register
    match stop:
        case Refusal():
            return _after_refusal(job, attempt, launch.after(stop), fitting)
        case TimeIsUp():
            training_end.pause_at_limit(job, limits.reached(job, fitting))
            return register
        case MachineFailure() if job.status == "running" and job.interruptions + 1 < MAX_ATTEMPTS:
            resuming = f"Resuming from the newest checkpoint (try {job.interruptions + 2} of {MAX_ATTEMPTS})"
            say(job, f"{stop.error.message} {resuming}", level="warn")
            return Verdict("resume", attempt + 1)
    training_end.fail(project, job_id, attempt, stop.error)
    return register


def _after_refusal(job: FineTuningJob, attempt: int, launch: Launch, fitting: Sequence[Machine]) -> Verdict:
    """Ask for the next machine; after the last, for all of them again; or give up."""
    if launch.machine(job, fitting):
        return Verdict("launch", attempt, launch)
    if pause := launch.pause_seconds(now()):
        say(
            job,
            f"No machine is free. {_tried(launch)} Asking again in {limits.duration(pause)}.",
            level="warn",
        )
        return Verdict("launch", attempt, launch.next_round(), pause)
    if job.status == "running":  # it has trained on a machine that was taken away
        training_end.pause_at_limit(
            job, f"No machine is free to go on with. {_tried(launch)} To go on, resume the job later."
        )
    elif all(one.is_quota for one in launch.refused):
        training_end.fail(job.organization_id, job.id, attempt, _quota_exceeded(launch))
    else:
        training_end.fail(job.organization_id, job.id, attempt, _capacity_unavailable(launch))
    return Verdict("register", attempt, launch)


def _machines(job: FineTuningJob) -> list[Machine]:
    model = base_models.find(job.model)
    return job_memory.machines_for(job.method, model) if model else []


def _tried(launch: Launch) -> str:
    tried = (f"{Machine(one.instance_type, one.is_spot)}: {one.said}" for one in launch.refused)
    return f"Tried {'; '.join(tried)}."


def _quota_exceeded(launch: Launch) -> JobError:
    message = (
        f"The account's SageMaker quotas allow no machine for this job. {_tried(launch)} Ask for more in "
        "Service Quotas (Amazon SageMaker), or have the deployment offer other machines (instance_types); "
        "then create the job again."
    )
    return JobError(code="quota_exceeded", message=message)


def _capacity_unavailable(launch: Launch) -> JobError:
    rounds = "once" if launch.round == 1 else f"{launch.round} times"
    message = (
        f"SageMaker was asked {rounds} for each machine, and none was free. {_tried(launch)} Create the job "
        "again later, or have the deployment offer more machines (instance_types) or wait for longer "
        "(max_wait_seconds)."
    )
    return JobError(code="capacity_unavailable", message=message)
