"""RegisterModel: makes the trained adapter a model and the job succeed, or pauses a job that was asked to."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import training_end

logger = Logger(service="workflow")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    job = training_end.register_model(event["project"], event["job_id"], event["attempt"])
    logger.info(
        "training registered",
        job_id=job.id,
        attempt=event["attempt"],
        status=job.status,
        billable_seconds=sum(bill.billable_seconds for bill in job.billed),  # of all its attempts
        usd=job.spent_usd,
    )
    return {"done": True}
