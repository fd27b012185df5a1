"""What can be done with fine-tuning jobs."""

import re
import secrets
from typing import Any

from pydantic import ValidationError

from outcrop import base_models
from outcrop.errors import APIError, NotFoundError, StateError
from outcrop.graders import pipeline
from outcrop.ids import new_id, now
from outcrop.operations import training
from outcrop.operations.bad_request import explain
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.files import FileStore
from outcrop.stores.jobs import JobStore
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.fine_tuning_job import CreateFineTuningJob, FineTuningJob, JobError
from outcrop.types.method import Method
from outcrop.types.page import Page

_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOST_REPLY_SECONDS = 15 * 60
"""For so long a repeated create may be the SDK's retry of one whose reply was lost."""


def create(request: CreateFineTuningJob, project: str, *, is_retry: bool = False) -> FineTuningJob:
    """Check everything that can be checked at once, write the job down, and start its workflow.

    The SDK sends no idempotency key; a create that `is_retry` gets the job its first try made, if any.
    """
    model = base_models.offered(request.model, settings().offered_models)
    method = _method(request)
    _check_file(request.training_file, "training_file", project)
    if request.validation_file is not None:
        _check_file(request.validation_file, "validation_file", project)
    if request.suffix is not None and not _SUFFIX.fullmatch(request.suffix):
        raise APIError(
            f"suffix: '{request.suffix}' may hold letters, digits, '.', '_' and '-' only: it becomes part of "
            "the model's id.",
            param="suffix",
        )
    if request.integrations:
        raise APIError(
            "integrations: none is supported; every metric is in the job's events.", param="integrations"
        )
    pipeline.check(method.reinforcement.grader)

    job = FineTuningJob(
        id=new_id("ftjob-"),
        created_at=now(),
        model=model.id,
        organization_id=project,
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
        status="validating_files",
        training_file=request.training_file,
        validation_file=request.validation_file,
        metadata=request.metadata,
        method=method,
        user_provided_suffix=request.suffix,
    )
    if is_retry and (first := _first_try(job, request.seed, project)):
        return first
    JobStore(project).create(job)
    EventStore(project, job.id).append("info", f"Created fine-tuning job: {job.id}")
    try:
        training.start(job)
    except Exception:
        reason = "The training workflow could not be started. Create the job again."
        JobStore(project).transition(
            job.id, "failed", finished_at=now(), error=JobError(code="workflow_not_started", message=reason)
        )
        EventStore(project, job.id).append("error", reason)
        raise
    return job


def list(
    *, after: str | None, limit: int, metadata: dict[str, str] | None, project: str
) -> Page[FineTuningJob]:
    return JobStore(project).list(after=after, limit=limit, metadata=metadata)


def retrieve(job_id: str, project: str) -> FineTuningJob:
    return JobStore(project).get(job_id)


def cancel(job_id: str, project: str) -> FineTuningJob:
    """Cancel a job at once; its trainer saves what it has. Cancelling it again tells the trainer again."""
    store = JobStore(project)
    try:
        job = store.transition(job_id, "cancelled", finished_at=now(), estimated_finish=None)
    except StateError as error:
        job = store.get(job_id)
        if job.status != "cancelled":
            raise StateError(f"Job {job_id} is {job.status}; it cannot be cancelled.") from error
    else:
        EventStore(project, job_id).append("info", "The job was cancelled.")
    training.stop(job)
    return job


def events(job_id: str, *, after: str | None, limit: int, project: str) -> Page[FineTuningJobEvent]:
    JobStore(project).get(job_id)
    return EventStore(project, job_id).list(after=after, limit=limit)


def _method(request: CreateFineTuningJob) -> Method:
    """The method, checked; other blocks beside the one that `type` names are left out, as OpenAI does."""
    supported = "only 'reinforcement' is supported here"
    if request.method is None:
        raise APIError(
            f"method: this field is required: {supported}, and without it OpenAI means 'supervised'.",
            param="method",
        )
    asked = request.method.get("type")
    if asked != "reinforcement":
        raise APIError(f"method.type: {asked!r} is not supported; {supported}.", param="method.type")
    if any(value != "auto" for value in (request.hyperparameters or {}).values()):
        raise APIError(
            "hyperparameters: those of a reinforcement job belong in method.reinforcement.hyperparameters.",
            param="hyperparameters",
        )
    block: dict[str, Any] = {
        name: request.method[name] for name in Method.model_fields if name in request.method
    }
    try:
        method = Method.model_validate(block)
    except ValidationError as error:
        raise explain(error, block, below="method") from error
    if method.reinforcement.response_format is not None:
        raise APIError(
            "method.reinforcement.response_format: not supported; let the grader judge the form of the text.",
            param="method.reinforcement.response_format",
        )
    return method


def _check_file(file_id: str, param: str, project: str) -> None:
    try:
        file = FileStore(project).get(file_id)
    except NotFoundError as error:
        raise APIError(f"{param}: {error.message}", param=param, code=error.code) from error
    if file.purpose != "fine-tune":
        raise APIError(
            f"{param}: the purpose of '{file_id}' is '{file.purpose}'; it must be 'fine-tune'.", param=param
        )


def _first_try(job: FineTuningJob, seed: int | None, project: str) -> FineTuningJob | None:
    """The recent job that asks for the same as `job`; one that failed did not get its caller an answer."""
    asked = {"model", "training_file", "validation_file", "metadata", "method", "user_provided_suffix"}
    for other in JobStore(project).list().data:
        recent = job.created_at - other.created_at <= _LOST_REPLY_SECONDS
        same = other.model_dump(include=asked) == job.model_dump(include=asked)
        if recent and same and seed in (None, other.seed) and other.status != "failed":
            return other
    return None
