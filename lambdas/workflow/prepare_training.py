"""PrepareTraining: writes the spec, queues the job, and answers with the parameters of CreateTrainingJob."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import training

logger = Logger(service="workflow")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    training_job = training.prepare(event["project"], event["job_id"], event["attempt"])
    logger.info("training prepared", job_id=event["job_id"], attempt=event["attempt"], done=not training_job)
    return {"done": training_job is None, "training_job": training_job}
