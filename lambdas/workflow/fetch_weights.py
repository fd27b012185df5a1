"""FetchWeights: brings one file of base weights into the bucket, or further on its way."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import weights_fetch
from outcrop.types.weights import RepositoryFile

logger = Logger(service="weights")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    file = RepositoryFile.model_validate(event["file"])
    step = weights_fetch.fetch(
        event["model"],
        event["revision"],
        file,
        lambda: context.get_remaining_time_in_millis() / 1000,
        tries=event["tries"],
        use_mirror=event["use_mirror"],
    )
    logger.info(
        "weights fetched",
        model=event["model"],
        file=file.path,
        done=step.done,
        wait=step.wait,
        problem=step.problem,
        note=step.note,
    )
    return asdict(step) | {"file": step.file and step.file.model_dump()}
