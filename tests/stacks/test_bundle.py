"""What functions ship: the source and nothing else, and handlers that import little."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import bundle
from stacks.constructs.training_workflow import TRAINING_JOB_FIELDS
from tests.stacks.conftest import Templates

_NOT_FOR_LAMBDA = (
    "torch",
    "transformers",
    "trl",
    "aws_cdk",
    "jsii",
    "moto",
    "local",
    "training_image",
    "typer",
)
_PROBE = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_bundle_is_the_source_and_nothing_else() -> None:
    folder = Path(bundle.source_bundle())
    files = [file for file in folder.rglob("*") if file.is_file()]

    assert {path.name for path in folder.iterdir()} == {"outcrop", "lambdas"}
    assert not (folder / "outcrop" / "cli").exists()
    data = [file for file in files if file.suffix == ".xz"]
    assert [file.name for file in data] == ["wordnet-3.0.txt.xz"]
    assert {file.suffix for file in files} - {".xz"} <= {".json", ".py", ".sh", ".txt"}
    assert sum(file.stat().st_size for file in files if file not in data) < 1_000_000
    assert sum(file.stat().st_size for file in data) < 500_000
    assert bundle.source_bundle() == str(folder)


def test_the_words_that_judges_are_asked_with_are_in_the_bundle() -> None:
    prompts = "outcrop/graders/prompts"

    shipped = {file.name for file in (Path(bundle.source_bundle()) / prompts).iterdir()}

    assert shipped == {"label.txt", "model_as_judge.txt", "score.txt"}


def test_every_handler_is_in_the_bundle(templates: Templates) -> None:
    folder = Path(bundle.source_bundle())
    handlers = {
        resource["Properties"]["Handler"]
        for template in templates.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }

    assert "lambdas/inference/run.sh" in handlers
    assert os.access(folder / "lambdas/inference/run.sh", os.X_OK)
    for handler in handlers - {"lambdas/inference/run.sh"}:
        module, _, function = handler.rpartition(".")
        source = (folder / (module.replace(".", "/") + ".py")).read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), handler


@pytest.mark.parametrize(
    "module",
    [
        "lambdas.api.handler",
        "lambdas.authorizer.handler",
        "lambdas.inference.app",
        "lambdas.workflow.validate_files",
        "lambdas.workflow.prepare_training",
        "lambdas.workflow.classify_stop",
        "lambdas.workflow.register_model",
        "lambdas.workflow.finish",
    ],
)
def test_a_handler_imports_nothing_heavy(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", _PROBE, module],  # -B: what is deployed stays as it is
        cwd=bundle.source_bundle(),
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )

    imported = set(done.stdout.split())
    assert "outcrop" in imported
    assert imported.isdisjoint(_NOT_FOR_LAMBDA)


def test_the_workflow_passes_on_what_prepare_training_answers(templates: Templates) -> None:
    ((_, machine),) = (
        (id, one)
        for id, one in templates["OutcropWorkflow"]["Resources"].items()
        if one["Type"] == "AWS::StepFunctions::StateMachine"
    )
    definition = str(machine["Properties"]["DefinitionString"])

    for field in TRAINING_JOB_FIELDS:
        assert f'"{field}.$":"$.{field}"' in definition
