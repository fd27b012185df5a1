"""PrepareTraining: queues the job; when its turn has come, writes the spec and answers with the parameters of
CreateTrainingJob.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.ids import now
from outcrop.operations import training
from outcrop.operations.launches import Launch

logger = Logger(service="workflow")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    launch = Launch.of(event["launch"])
    step = training.prepare(event["project"], event["job_id"], event["attempt"], launch)
    logger.info(
        "training prepared",
        job_id=event["job_id"],
        attempt=event["attempt"],
        launch=launch.number,
        machine_wait_seconds=now() - launch.since if launch.since else 0,
        done=step.done,
        wait=step.wait,
    )
    return asdict(step)
