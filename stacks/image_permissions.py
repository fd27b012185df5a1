"""Training images that the deployment builds: who may build one anew, and who may put it away."""

import json
from collections.abc import Sequence

from stacks.constructs.container_image import ContainerImage
from stacks.constructs.python_function import PythonFunction
from stacks.permissions import allow


def projects_json(images: Sequence[ContainerImage]) -> str:
    """The CodeBuild project of each, by its URI."""
    return json.dumps({image.uri: image.project.project_name for image in images})


def allow_building(function: PythonFunction, images: Sequence[ContainerImage]) -> None:
    """What `job_image.look` of `outcrop.operations` needs."""
    for image in images:
        _allow_looking(function, image)
        allow(
            function,
            "codebuild:BatchGetBuilds",
            "codebuild:BatchGetProjects",
            "codebuild:ListBuildsForProject",
            "codebuild:StartBuild",
            on=[image.project.project_arn],
        )
    function.add_environment("OUTCROP_IMAGE_PROJECTS", projects_json(images))


def allow_putting_away(function: PythonFunction, images: Sequence[ContainerImage]) -> None:
    """What `reconcile.images` needs."""
    for image in images:
        _allow_looking(function, image)
        allow(function, "ecr:BatchDeleteImage", on=[image.repository.repository_arn])
    function.add_environment("OUTCROP_IMAGE_PROJECTS", projects_json(images))


def _allow_looking(function: PythonFunction, image: ContainerImage) -> None:
    allow(function, "ecr:DescribeImages", on=[image.repository.repository_arn])
