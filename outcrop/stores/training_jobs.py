"""What a fine-tuning job is on AWS: executions of the training workflow, and SageMaker training jobs.

Both carry the name `{job id}-{attempt}`, the training job on an attempt's second machine that and `-2`, so
AWS itself refuses a second one: a repeated call changes nothing.
"""

import json
from typing import Any

from botocore.exceptions import ClientError

from outcrop.settings import settings
from outcrop.stores.clients import client

# What SageMaker answers for a training job that does not exist, and to stopping one that is over.
_NOT_THERE = ("ValidationException", "ResourceNotFound")


def name(job_id: str, attempt: int, launch: int = 1) -> str:
    return f"{job_id}-{attempt}" if launch == 1 else f"{job_id}-{attempt}-{launch}"


def start_execution(project: str, job_id: str, attempt: int) -> None:
    """Start the workflow for one attempt of a job; an attempt already started is success."""
    try:
        client("stepfunctions").start_execution(
            stateMachineArn=settings().state_machine_arn,
            name=name(job_id, attempt),
            input=json.dumps({"project": project, "job_id": job_id, "attempt": attempt}),
        )
    except ClientError as error:
        if _code(error) != "ExecutionAlreadyExists":
            raise


def stop_training_job(name: str) -> None:
    """Ask the trainer to save and leave; success too if it never started or has ended."""
    try:
        client("sagemaker").stop_training_job(TrainingJobName=name)
    except ClientError as error:
        if _code(error) not in _NOT_THERE:
            raise


def describe_training_job(name: str) -> dict[str, Any] | None:
    """SageMaker's description of the training job; None if there is none."""
    try:
        return dict(client("sagemaker").describe_training_job(TrainingJobName=name))
    except ClientError as error:
        if _code(error) not in _NOT_THERE:
            raise
        return None


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
