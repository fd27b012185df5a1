"""ListWeights: what a sync of base weights has to bring."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import weights_plan

logger = Logger(service="weights")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    plan = weights_plan.make(event["model"], event["revision"], event["tries"])
    logger.info(
        "weights listed", model=event["model"], files=len(plan.files), problem=plan.problem, note=plan.note
    )
    return asdict(plan)
