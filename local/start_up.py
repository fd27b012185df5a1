"""What `outcrop local` does with the table and the workflow when it starts: an API key, and interrupted jobs
taken up.

Both run as functions beside the deployed ones, with the environment of the `api` function: this process
itself has neither the table's name nor a use for the rest of its settings.
"""

from typing import Any

from boto3.dynamodb.conditions import Attr

from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations import training
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.jobs import JobStore
from outcrop.stores.keys import KeyStore
from outcrop.types.fine_tuning_job import FineTuningJob, JobError

PROJECT = "default"


def ensure_key(event: dict[str, Any], context: object) -> str:
    """The key of the last run if the table still knows it, else a new one."""
    key = event["key"]
    if key and KeyStore.project_of(key) == PROJECT:
        return key
    return KeyStore(PROJECT).create("outcrop local")


def resume_jobs(event: dict[str, Any], context: object) -> int:
    """Take up every job that was not finished; the executions they belonged to ended with the last run.

    A job that cannot be taken up fails with the reason: it never hangs. Returns how many jobs there were.
    """
    jobs = [job for job in _jobs() if not is_terminal(job.status)]
    for job in jobs:
        try:
            training.resume(job)
        except Exception as error:  # whatever it is, the other jobs go on, and this one says why it does not
            message = f"Outcrop was stopped while the job was {job.status}, and it cannot be resumed: {error}"
            failure = JobError(code="interrupted", message=message)
            JobStore(job.organization_id).transition(job.id, "failed", error=failure, finished_at=now())
    return len(jobs)


def _jobs() -> list[FineTuningJob]:
    """Of all projects."""
    is_job = Attr("sk").begins_with("ftjob-") & Attr("object").eq("fine_tuning.job")
    query: dict[str, Any] = {"FilterExpression": is_job, "ConsistentRead": True}
    jobs: list[FineTuningJob] = []
    while True:
        answer = dynamodb_table().scan(**query)
        rows: list[dict[str, Any]] = list(answer["Items"])
        jobs += [JobStore(row["organization_id"]).get(row["id"]) for row in rows]
        if "LastEvaluatedKey" not in answer:
            return jobs
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
