"""ClassifyStop: reads the training job's own story and says how the workflow goes on."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import training_stop
from outcrop.operations.launches import Launch

logger = Logger(service="workflow")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    stop, launch = event["stop"], Launch.of(event["launch"])
    verdict = training_stop.classify(
        event["project"],
        event["job_id"],
        event["attempt"],
        launch,
        error=stop.get("Error", ""),
        cause=stop.get("Cause", ""),
    )
    logger.info(
        "stop classified",
        job_id=event["job_id"],
        attempt=event["attempt"],
        launch=launch.number,
        next=verdict.next,
    )
    return asdict(verdict)
