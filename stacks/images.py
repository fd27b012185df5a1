"""Container images that are built in the account: the training image, unless the setting `training_image`
names one, and with `sandbox_packages: full` that of the sandbox function.

Each has a stack of its own, so that a deployment that needs one no more takes nothing from the other.
"""

from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from stacks.bundle import dependency_layer, new_folder
from stacks.constructs.container_image import ContainerImage
from stacks.image_permissions import projects_json


class ImageStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: Callable[[Path], None],
        arm: bool = False,
        keep: bool = False,
        several: Callable[[Path], None] | None = None,
    ) -> None:
        """`context` writes what the image is built from: see `stacks/build_contexts.py`. `keep`: the images
        stay when the stack is deleted. `several`: the context of a second image, for several machines."""
        super().__init__(scope, id, description="Outcrop: a container image")
        layer = dependency_layer(self)
        folder = new_folder()
        context(folder)
        self.image = ContainerImage(self, "Image", context=folder, layer=layer, arm=arm, keep=keep)
        self.several: ContainerImage | None = None
        if several:
            folder = new_folder()
            several(folder)
            self.several = ContainerImage(self, "VerlImage", context=folder, layer=layer, keep=keep)
        built = [one for one in (self.image, self.several) if one]
        cdk.CfnOutput(self, "Projects", value=projects_json(built))
