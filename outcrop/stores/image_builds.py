"""The builds in CodeBuild that make container images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from outcrop.stores.clients import client

_RECENT = 20
_REFUSALS = ("AccountLimitExceededException", "ResourceNotFoundException")


@dataclass(frozen=True)
class Build:
    id: str
    status: str
    variables: Mapping[str, str]
    problems: tuple[str, ...]
    """What each phase that failed says of it."""
    log: str
    """Where the build's output can be read."""

    @property
    def is_over(self) -> bool:
        return self.status != "IN_PROGRESS"

    @property
    def ending(self) -> str:
        """In words, of one that made no image."""
        why = " ".join(self.problems) or "CodeBuild gives no reason."
        return f"The build of the image ended as {self.status}. {why} Its log: {self.log}"


class BuildRefusedError(Exception):
    """CodeBuild starts no build; the message is its own."""


def start(project: str, token: str, variables: Mapping[str, str]) -> str:
    """Start a build; starting it again with the same token, within five minutes, changes nothing. Its id.

    Raises: BuildRefusedError if the account may have no more builds, or there is no such project.
    """
    listed = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
    try:
        started = client("codebuild").start_build(
            projectName=project, idempotencyToken=token, environmentVariablesOverride=listed
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _REFUSALS:
            raise
        raise BuildRefusedError(str(error)) from error
    return started["build"]["id"]


def describe(build_id: str) -> Build:
    [build] = client("codebuild").batch_get_builds(ids=[build_id])["builds"]
    return _build(build)


def newest(project: str, tag: str) -> Build | None:
    """The newest build that makes, or was to make, the image of this tag. CodeBuild forgets them after a
    year."""
    listed = client("codebuild").list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"]
    if not listed:
        return None
    described = client("codebuild").batch_get_builds(ids=listed[:_RECENT])["builds"]
    found = {build.id: build for build in map(_build, described) if build.variables.get("TAG") == tag}
    return next((found[id] for id in listed if id in found), None)


def tag_of(project: str) -> str | None:
    """Of the image that its builds make now; None if there is no such project."""
    for one in client("codebuild").batch_get_projects(names=[project])["projects"]:
        return _variables(one).get("TAG")
    return None


def _build(described: Mapping[str, Any]) -> Build:
    contexts = [context for phase in described.get("phases", ()) for context in phase.get("contexts", ())]
    return Build(
        id=described["id"],
        status=described["buildStatus"],
        variables=_variables(described),
        problems=tuple(context["message"] for context in contexts if context.get("message")),
        log=described.get("logs", {}).get("deepLink", f"build {described['id']} in CodeBuild"),
    )


def _variables(described: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in described["environment"]["environmentVariables"]}
