"""What can be done with fine-tuning jobs."""

import secrets
from collections.abc import Mapping

from outcrop import base_models
from outcrop.errors import StateError
from outcrop.graders import pipeline
from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations import (
    files,
    grader_rows,
    job_end,
    job_memory,
    job_request,
    limits,
    training,
)
from outcrop.serving import tuned_models
from outcrop.settings import settings
from outcrop.stores.claims import claim
from outcrop.stores.events import EventStore, new_event
from outcrop.stores.jobs import JobStore
from outcrop.types.call import Call
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.fine_tuning_job import CreateFineTuningJob, FineTuningJob
from outcrop.types.page import Page


def create(request: CreateFineTuningJob, call: Call) -> FineTuningJob:
    """Check everything that can be checked at once, write the job down, and start its workflow.

    Another try of the same call gets the same job, and starts its workflow if the first one did not.
    """
    model = base_models.offered(request.model, settings().offered_models)
    method = job_request.method(request)
    job_request.check(request)
    named = {"training_file": request.training_file, "validation_file": request.validation_file}
    trained_on = files.resolve({param: file for param, file in named.items() if file}, call.project)
    grader = method.reinforcement.grader
    pipeline.check(grader)
    hyperparameters = method.reinforcement.hyperparameters
    budget = limits.budget(hyperparameters.budget_usd, job_memory.machines_for(method, model))
    tuned_models.check(model, is_full=hyperparameters.finetuning_type == "full")
    job_request.check_finetuning_type(method, model)
    job_request.check_reasoning(method, model)
    job_memory.check(method, model)
    grader_rows.check_first(grader, trained_on["training_file"], call.project, param=pipeline.GRADER_PARAM)

    jobs = JobStore(call.project)
    claimed = claim(call, "ftjob-", jobs.find)
    if claimed.made is not None:
        return _started(claimed.made)
    job = FineTuningJob(
        id=claimed.id,
        created_at=now(),
        model=model.id,
        organization_id=call.project,
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
        status="validating_files",
        training_file=trained_on["training_file"].id,
        validation_file=trained_on["validation_file"].id if request.validation_file else None,
        metadata=request.metadata,
        method=method,
        user_provided_suffix=request.suffix,
        base_revision=model.revision,
        budget_usd=budget,
    )
    is_new = jobs.create(job, new_event("info", f"Created fine-tuning job: {job.id}"))
    return _started(job if is_new else jobs.get(job.id))


def list(
    *, after: str | None, limit: int, metadata: Mapping[str, str] | None, project: str
) -> Page[FineTuningJob]:
    return JobStore(project).list(after=after, limit=limit, metadata=metadata)


def retrieve(job_id: str, project: str) -> FineTuningJob:
    """The job. One whose start got lost is started: whoever waits for a job looks at it."""
    return _started(JobStore(project).get(job_id))


def cancel(job_id: str, project: str) -> FineTuningJob:
    """Cancel a job at once; its trainer saves what it has. Cancelling it again tells the trainer again."""
    store = JobStore(project)
    try:
        job = store.transition(job_id, "cancelled", finished_at=now())
    except StateError as error:
        job = store.get(job_id)
        if job.status != "cancelled":
            raise StateError(f"Job {job_id} is {job.status}; it cannot be cancelled.") from error
    else:
        EventStore(project, job_id).append("info", "The job was cancelled.")
    training.stop(job)
    job_end.tell(job)
    return job


def pause(job_id: str, project: str) -> FineTuningJob:
    """Pause a job: at once if it does not train yet, else when its trainer has saved a checkpoint and left.
    Pausing it again tells the trainer again.

    Raises: StateError if it has ended.
    """
    store = JobStore(project)
    job = store.get(job_id)
    while job.status != "paused" and not job.pause_requested:
        if is_terminal(job.status):
            raise StateError(f"Job {job_id} is {job.status}; it cannot be paused.")
        try:
            if job.status == "running":
                job = store.request_pause(job_id)
                said = "Pausing the job: its trainer saves a checkpoint and leaves"
            else:
                job = store.transition(job_id, "paused", before=[job.status])
                said = "The job is paused"
        except StateError:  # it moved on meanwhile
            job = store.get(job_id)
        else:
            EventStore(project, job_id).append("info", said)
    training.stop(job)
    return job


def resume(job_id: str, call: Call, budget_usd: float | None = None) -> FineTuningJob:
    """Queue a paused job for another attempt, which goes on from the newest checkpoint, with a new budget if
    one is given. Another try of the same call gets the same attempt.

    Raises: StateError if the job is not paused, APIError if its budget pays for no more training.
    """
    store = JobStore(call.project)
    job = store.get(job_id)
    if job.status == "paused":
        budget = _budget_to_go_on(job, budget_usd)
        try:
            job = store.transition(
                job_id, "queued", of_attempt=job.attempt, attempt=job.attempt + 1, budget_usd=budget
            )
            EventStore(call.project, job_id).append("info", f"The job is resumed as attempt {job.attempt}")
        except StateError:
            job = store.get(job_id)  # resumed by somebody else, or cancelled
    elif job.pause_requested:
        raise StateError(f"Job {job_id} is being paused; it can be resumed as soon as its status is paused.")
    has_been_resumed = job.attempt > 1 and job.status in ("queued", "running")
    if not has_been_resumed or (job.is_started and not call.retry):
        raise StateError(f"Job {job_id} is {job.status}; only a paused job can be resumed.")
    return _started(job)


def events(job_id: str, *, after: str | None, limit: int, project: str) -> Page[FineTuningJobEvent]:
    JobStore(project).get(job_id)
    return EventStore(project, job_id).list(after=after, limit=limit)


def _budget_to_go_on(job: FineTuningJob, asked: float | None) -> float | None:
    """Raises: APIError if it pays for no more training."""
    budget, model = asked or job.budget_usd, base_models.find(job.model)
    if budget is not None and model is not None:
        fitting = job_memory.machines_for(job.method, model)
        limits.check(budget, job.spent_usd, fitting, param="budget_usd")
    return budget


def _started(job: FineTuningJob) -> FineTuningJob:
    """The job, its workflow started unless that has begun."""
    if job.status in ("validating_files", "queued") and not job.is_started:
        training.start(job)
    return job
