"""Container images in ECR, the builds in CodeBuild that make them, and CloudFormation, which waits."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from botocore.exceptions import ClientError

from outcrop.stores.clients import client

_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Build:
    status: str
    variables: Mapping[str, str]
    problems: tuple[str, ...]
    """What each phase that failed says of it."""
    log: str
    """Where the build's output can be read."""


def has_image(repository: str, tag: str) -> bool:
    try:
        client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ImageNotFoundException":
            raise
        return False
    return True


def start(project: str, token: str, variables: Mapping[str, str]) -> None:
    """Start a build; starting it again with the same token, within five minutes, changes nothing."""
    listed = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
    client("codebuild").start_build(
        projectName=project, idempotencyToken=token, environmentVariablesOverride=listed
    )


def describe(build_id: str) -> Build:
    [build] = client("codebuild").batch_get_builds(ids=[build_id])["builds"]
    contexts = [context for phase in build.get("phases", ()) for context in phase.get("contexts", ())]
    return Build(
        status=build["buildStatus"],
        variables={one["name"]: one["value"] for one in build["environment"]["environmentVariables"]},
        problems=tuple(context["message"] for context in contexts if context.get("message")),
        log=build.get("logs", {}).get("deepLink", f"build {build_id} in CodeBuild"),
    )


def send(url: str, answer: bytes) -> None:
    """Put the answer where CloudFormation reads it: an object of S3, by a signed URL that allows no content
    type."""
    httpx.put(url, content=answer, headers={"content-type": ""}, timeout=_ANSWER_SECONDS).raise_for_status()
