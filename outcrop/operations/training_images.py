"""The container images that jobs train in, and which of them the deployment builds itself.

One that it builds is put away when no job has been trained with it for 30 days (`reconcile/images.py`), and
built anew for the next job (`job_image.py`).
"""

import json
from dataclasses import dataclass

from outcrop.settings import settings

KEPT_DAYS = 30
BUILD_MINUTES = "10 to 20 minutes"
"""What a build takes, about."""


@dataclass(frozen=True)
class BuiltImage:
    repository: str
    tag: str
    project: str
    """Of CodeBuild, that makes it."""


def uri(machines: int) -> str:
    """Of the image that trains a job on so many machines."""
    return settings().verl_image if machines > 1 else settings().training_image


def built() -> dict[str, BuiltImage]:
    """By their URIs; none that the setting `training_image` names."""
    projects: dict[str, str] = json.loads(settings().image_projects)
    return {uri: _built(uri, project) for uri, project in projects.items()}


def _built(uri: str, project: str) -> BuiltImage:
    repository, _, tag = uri.partition("/")[2].rpartition(":")
    return BuiltImage(repository, tag, project)
