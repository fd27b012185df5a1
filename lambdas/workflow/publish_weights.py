"""PublishWeights: writes the manifest of base weights that are all there, or says why there is none."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import weights_publish
from outcrop.types.weights import RepositoryFile, WeightsFile

logger = Logger(service="weights")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    fetched = event["fetched"]
    problem = weights_publish.publish(
        event["model"],
        event["revision"],
        [RepositoryFile.model_validate(file) for file in event["files"]],
        [WeightsFile.model_validate(one["file"]) for one in fetched if one.get("file")],
        [one["problem"] for one in fetched if one["problem"]],
    )
    logger.info("weights published", model=event["model"], problem=problem)
    return {"problem": problem}
