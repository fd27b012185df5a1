"""What runs in the account for jobs, as AWS lists it: executions of the training workflow, training jobs.

Both are named by job and attempt (`training_jobs.name`); what else the account runs is not listed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from outcrop.settings import settings
from outcrop.stores import workflows
from outcrop.stores.clients import client

_NAME = re.compile(r"(?P<job_id>ftjob-[0-9a-z]{24})-(?P<attempt>\d+)(-.+)?")


@dataclass(frozen=True)
class Workload:
    name: str
    job_id: str
    attempt: int
    started_at: int


def running_training_jobs() -> Iterator[Workload]:
    """Those that train, and are not being stopped already."""
    pages = client("sagemaker").get_paginator("list_training_jobs")
    for page in pages.paginate(NameContains="ftjob-", StatusEquals="InProgress"):
        for one in page["TrainingJobSummaries"]:
            yield from _of_a_job(one["TrainingJobName"], one["CreationTime"].timestamp())


def running_executions() -> Iterator[Workload]:
    pages = client("stepfunctions").get_paginator("list_executions")
    for page in pages.paginate(stateMachineArn=settings().state_machine_arn, statusFilter="RUNNING"):
        for one in page["executions"]:
            yield from _of_a_job(one["name"], one["startDate"].timestamp())


def execution_status(name: str) -> str | None:
    """RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE; None if it never was, or ended 90
    days ago."""
    found = workflows.find(settings().state_machine_arn, name)
    return found.status if found else None


def stop_execution(name: str) -> None:
    """Stopping one that is over is success."""
    arn = f"{settings().state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    client("stepfunctions").stop_execution(executionArn=arn, cause="There is no job of this name.")


def _of_a_job(name: str, started_at: float) -> Iterator[Workload]:
    match = _NAME.fullmatch(name)
    if match:
        yield Workload(name, match["job_id"], int(match["attempt"]), int(started_at))
