"""TendEndpoints: every few minutes, brings endpoints on their way to where they belong, and removes unused
ones."""

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.serving.sagemaker_tending import tend

logger = Logger(service="serving")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    seen = tend(int(time.time()))
    for one in seen:
        logger.info("endpoint tended", endpoint=one.name, state=one.state, reason=one.message)
    return {"endpoints": len(seen)}
