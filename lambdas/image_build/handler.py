"""Answers CloudFormation about a container image (stacks/constructs/container_image.py).

It is called twice for an image: by CloudFormation, when the image's sources have changed, and by CodeBuild's
event, when the build that it started then is over.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import image_builds

logger = Logger(service="image-build")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    if "RequestType" in event:
        image_builds.begin(event)
        logger.info("image asked for", request=event["RequestType"], request_id=event["RequestId"])
    else:
        build = event["detail"]["build-id"]
        image_builds.finish(build)
        logger.info("build over", build=build, status=event["detail"]["build-status"])
