"""`/v1/fine_tuning/jobs`."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.api.caller import call, caller
from lambdas.api.metadata_filter import metadata_filter
from outcrop.operations import checkpoints, jobs
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.fine_tuning_job import CreateFineTuningJob, FineTuningJob, ResumeFineTuningJob
from outcrop.types.page import Page

Limit = Annotated[int, Query(ge=1, le=100)]

router = APIGatewayRouter()


@router.post("/fine_tuning/jobs")
def create(request: CreateFineTuningJob) -> FineTuningJob:
    return jobs.create(request, call(router, request))


@router.get("/fine_tuning/jobs")
def list_jobs(after: str | None = None, limit: Limit = 20) -> Page[FineTuningJob]:
    return jobs.list(after=after, limit=limit, metadata=metadata_filter(router), project=caller(router))


@router.get("/fine_tuning/jobs/<job_id>")
def retrieve(job_id: str) -> FineTuningJob:
    return jobs.retrieve(job_id, caller(router))


@router.post("/fine_tuning/jobs/<job_id>/cancel")
def cancel(job_id: str) -> FineTuningJob:
    return jobs.cancel(job_id, caller(router))


@router.post("/fine_tuning/jobs/<job_id>/pause")
def pause(job_id: str) -> FineTuningJob:
    return jobs.pause(job_id, caller(router))


@router.post("/fine_tuning/jobs/<job_id>/resume")
def resume(job_id: str, request: Annotated[ResumeFineTuningJob | None, Body()] = None) -> FineTuningJob:
    budget_usd = request.budget_usd if request else None
    return jobs.resume(job_id, call(router, request), budget_usd)


@router.get("/fine_tuning/jobs/<job_id>/events")
def list_events(job_id: str, after: str | None = None, limit: Limit = 20) -> Page[FineTuningJobEvent]:
    return jobs.events(job_id, after=after, limit=limit, project=caller(router))


@router.get("/fine_tuning/jobs/<job_id>/checkpoints")
def list_checkpoints(
    job_id: str, after: str | None = None, limit: Limit = 10
) -> Page[FineTuningJobCheckpoint]:
    return checkpoints.list(job_id, after=after, limit=limit, project=caller(router))
