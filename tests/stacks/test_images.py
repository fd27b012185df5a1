"""Container images that are built in the account: from what, by whom, and with which rights."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from stacks import build_contexts
from stacks.images import ImageStack
from stacks.sandbox import SandboxStack
from stacks.uv import run_uv

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Resources]:
    """The resources of three stacks, as settings that ask for all of it make them."""
    out = tmp_path_factory.mktemp("out")
    app = cdk.App(outdir=str(out), context={"aws:cdk:bundling-stacks": []})
    ImageStack(app, "OutcropImages", context=build_contexts.trainer, keep=True)
    packages = ImageStack(app, "OutcropSandboxImage", context=build_contexts.sandbox, arm=True).image
    sandbox = SandboxStack(app, "OutcropSandboxFull", image=packages)
    stacks = [*app.node.children]
    assert sandbox in stacks
    return {
        stack.stack_name: Template.from_stack(stack).to_json()["Resources"]
        for stack in stacks
        if isinstance(stack, cdk.Stack)
    }


def test_the_image_for_several_machines_has_verl_in_its_place(tmp_path: Path) -> None:
    build_contexts.verl(tmp_path)

    packages = (tmp_path / "requirements.txt").read_text()
    assert "\nverl==0.9.1" in packages and "\ntorch==" not in packages and "\ntrl==" not in packages
    assert "training_image.verl.trainer" in (tmp_path / "Dockerfile").read_text()
    assert (tmp_path / "training_image/verl/start.sh").exists()


def of_type(resources: Resources, type: str) -> list[dict[str, Any]]:
    return [one for one in resources.values() if one["Type"] == type]


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return policy["Properties"]["PolicyDocument"]["Statement"]


def properties(resources: Resources, type: str) -> dict[str, Any]:
    (one,) = of_type(resources, type)
    return one["Properties"]


@pytest.mark.parametrize("stack", ["OutcropImages", "OutcropSandboxImage"])
def test_an_images_tag_is_made_of_its_sources_and_written_once(
    templates: dict[str, Resources], stack: str
) -> None:
    repository = properties(templates[stack], "AWS::ECR::Repository")
    project = properties(templates[stack], "AWS::CodeBuild::Project")
    image = properties(templates[stack], "Custom::ContainerImage")

    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert (rule["selection"]["countType"], rule["action"]) == ("imageCountMoreThan", {"type": "expire"})
    assert image["Tag"] in json.dumps(project["Source"]["Location"])
    assert image["ServiceTimeout"] == "3600"
    assert project["TimeoutInMinutes"] + project["QueuedTimeoutInMinutes"] < 60


def test_the_training_images_repository_outlives_its_stack_and_the_sandboxs_goes(
    templates: dict[str, Resources],
) -> None:
    (kept,) = of_type(templates["OutcropImages"], "AWS::ECR::Repository")
    (goes,) = of_type(templates["OutcropSandboxImage"], "AWS::ECR::Repository")

    assert (kept["DeletionPolicy"], kept["Properties"]["EmptyOnDelete"]) == ("Retain", False)
    assert (goes["DeletionPolicy"], goes["Properties"]["EmptyOnDelete"]) == ("Delete", True)


def test_a_build_may_read_its_one_source_write_its_log_and_push_to_its_repository(
    templates: dict[str, Resources],
) -> None:
    may = {
        id: [(one["Action"], json.dumps(one["Resource"])) for one in statements(policy)]
        for id, policy in templates["OutcropImages"].items()
        if policy["Type"] == "AWS::IAM::Policy"
    }

    (build,) = (statements for id, statements in may.items() if "Build" in id)
    log, source, bucket, login, push = build
    assert log[0] == ["logs:CreateLogStream", "logs:PutLogEvents"] and "BuildLogs" in log[1]
    assert source[0] == ["s3:GetObject", "s3:GetObjectVersion"] and re.search(
        r"/[0-9a-f]{64}\.zip", source[1]
    )
    assert bucket[0] == "s3:GetBucketLocation"
    assert login == ("ecr:GetAuthorizationToken", '"*"')
    assert set(push[0]) == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    }
    (starter,) = (statements for id, statements in may.items() if "Starter" in id)
    assert [actions for actions, _ in starter] == [
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["codebuild:StartBuild", "codebuild:BatchGetBuilds"],
        "ecr:DescribeImages",
    ]
    assert not of_type(templates["OutcropImages"], "AWS::IAM::ManagedPolicy")


def test_every_end_of_a_build_is_told_to_the_function_that_answers(templates: dict[str, Resources]) -> None:
    rule = properties(templates["OutcropImages"], "AWS::Events::Rule")

    assert rule["EventPattern"]["detail"]["build-status"] == [
        "SUCCEEDED",
        "FAILED",
        "FAULT",
        "TIMED_OUT",
        "STOPPED",
    ]
    (project,) = rule["EventPattern"]["detail"]["project-name"]
    assert templates["OutcropImages"][project["Ref"]]["Type"] == "AWS::CodeBuild::Project"


def test_the_full_sandbox_is_the_same_function_from_an_image(templates: dict[str, Resources]) -> None:
    function = properties(templates["OutcropSandboxFull"], "AWS::Lambda::Function")
    tag = properties(templates["OutcropSandboxImage"], "Custom::ContainerImage")["Tag"]

    assert function["PackageType"] == "Image"
    assert f":{tag}" in json.dumps(function["Code"]["ImageUri"])
    assert function["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    assert len(function["VpcConfig"]["SubnetIds"]) == 2
    assert not {"Layers", "Handler", "Runtime", "Environment"} & function.keys()


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, or names in modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names)


def is_there(folder: Path, name: str) -> bool:
    """Whether it is a module, or a name in one."""
    path, parent = folder / name.replace(".", "/"), folder / name.rpartition(".")[0].replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists() or parent.with_suffix(".py").exists()


def test_the_trainers_sources_are_all_that_it_imports(tmp_path: Path) -> None:
    build_contexts.trainer(tmp_path)

    missing = {
        f"{path.relative_to(tmp_path)} imports {name}"
        for path in tmp_path.rglob("*.py")
        for name in imported(path)
        if name.startswith(("outcrop", "training_image")) and not is_there(tmp_path, name)
    }
    assert not missing
    assert not (tmp_path / "outcrop" / "operations").exists()


def test_a_context_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    hashes: set[str] = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        build_contexts.sandbox(tmp_path / name)
        hashes.add(cdk.FileSystem.fingerprint(str(tmp_path / name)))

    assert len(hashes) == 1


@pytest.mark.parametrize("context", build_contexts.CONTEXTS)
def test_a_dockerfile_copies_what_is_there_and_pins_what_it_begins_with(context: str, tmp_path: Path) -> None:
    build_contexts.CONTEXTS[context](tmp_path)

    lines = (tmp_path / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ")]
    (base,) = (line.split()[1] for line in lines if line.startswith("FROM "))
    assert all((tmp_path / name).exists() for name in copied)
    assert re.search(r":\d+\.\d+[\w.-]*$", base)
    assert "--require-hashes" in (tmp_path / "Dockerfile").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("context", "platform", "python"),
    [("trainer", "x86_64-manylinux_2_34", "3.12"), ("sandbox", "aarch64-manylinux_2_34", "3.13")],
)
def test_the_locked_packages_exist_for_the_images_platform(
    context: str, platform: str, python: str, tmp_path: Path
) -> None:
    """Both base images are Amazon Linux 2023, whose glibc is 2.34. It asks the package registry."""
    folder = tmp_path / "context"
    folder.mkdir()
    build_contexts.CONTEXTS[context](folder)

    wheels = ("--only-binary", ":all:", "--no-binary", "rouge-score")
    where = ("--python-platform", platform, "--python-version", python, "--target", str(tmp_path / "out"))
    what = ("--require-hashes", "--no-deps", "--requirements", str(folder / "requirements.txt"))
    run_uv("pip", "install", "--quiet", "--dry-run", *wheels, *where, *what)


IMPORTS_ALL = """
import ast_grep_py, deepdiff, jsonschema, nltk, numpy, pandas, pydantic, rapidfuzz, rdkit, rouge_score
import scipy, skbio, sklearn, sqlparse, sympy, yaml

def grade(sample, item):
    return rapidfuzz.fuzz.ratio(sample["output_text"], item["wanted"]) / 100
"""


@pytest.mark.slow
def test_the_full_sandbox_grades_with_all_its_packages_and_nothing_else(tmp_path: Path) -> None:
    """In a fresh environment of this machine's platform, from the folder that the image is built from. What
    only a build shows is that the base image takes the same steps."""
    folder, environment = tmp_path / "context", tmp_path / "environment"
    folder.mkdir()
    build_contexts.sandbox(folder)
    python = environment / "bin" / "python"
    run_uv("venv", "--quiet", "--python", sys.executable, str(environment))
    wheels = ("--only-binary", ":all:", "--no-binary", "rouge-score", "--require-hashes", "--no-deps")
    what = ("--requirements", str(folder / "requirements.txt"))
    run_uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *wheels, *what)
    completion = {"item": {"wanted": "hello"}, "sample": {"output_text": "hello"}}
    event = {"source": IMPORTS_ALL, "completions": [completion], "seconds": 120}
    program = (
        "import json, sys, types; from lambdas.sandbox.handler import handler; "
        "context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000); "
        "print(json.dumps(handler(json.load(sys.stdin), context)))"
    )

    done = subprocess.run(
        [str(python), "-c", program],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["outcomes"] == [{"reward": 1.0}]


def test_the_training_image_has_vllm_and_the_torch_that_vllm_was_built_for(tmp_path: Path) -> None:
    """vLLM 0.31.0 asks for torch 2.13.0 (`Requires-Dist`), which its base image brings, with triton."""
    build_contexts.CONTEXTS["trainer"](tmp_path)

    packages = (tmp_path / "requirements.txt").read_text()
    base = re.search(r"^FROM .*pytorch:(\d+\.\d+)-cu13", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
    assert re.search(r"^vllm==0\.31\.0 ", packages, re.MULTILINE)
    assert not re.search(r"^(torch|triton)==", packages, re.MULTILINE)
    assert base and base[1] == "2.13"
