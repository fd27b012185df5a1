"""Graders that are deployed from folders: what the setting may say, and what it becomes."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template

from outcrop.reward_templates import FOLDER, JUDGES, RULES
from stacks import bundle
from stacks.deployment import Deployment
from stacks.grader_functions import GraderFunctionsStack
from stacks.uv import uv_command

JUDGE = "openai.gpt-oss-120b-1:0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text("from mine import handler\n")
    (tmp_path / "mine.py").write_text("def handler(event, context): ...\n")
    return tmp_path


def deployment(graders: Any) -> Deployment:
    return Deployment.from_context(cdk.App(context={"graders": graders}).node)


def synthesized(graders: dict[str, Any]) -> Template:
    """Without the packages of requirements.txt, which takes a network."""
    app = cdk.App(context={"graders": graders, "aws:cdk:bundling-stacks": []})
    settings = Deployment.from_context(app.node)
    return Template.from_stack(GraderFunctionsStack(app, "OutcropGraders", deployment=settings))


def test_a_folder_becomes_a_function_of_the_settings_name(folder: Path) -> None:
    template = synthesized({"my_grader-2": str(folder)})

    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "FunctionName": "my_grader-2",
            "Handler": "handler.handler",
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "Timeout": 300,
            "MemorySize": 1024,
            "Layers": Match.absent(),
        },
    )
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30})
    template.has_output("mygrader2Arn", {})


def test_settings_of_a_grader_are_its_functions(folder: Path) -> None:
    template = synthesized(
        {
            "g": {
                "folder": str(folder),
                "environment": {"FORMAT_WEIGHT": "0.1"},
                "timeout_seconds": 60,
                "memory_mb": 1769,
            }
        }
    )

    template.has_resource_properties(
        "AWS::Lambda::Function",
        {"Environment": {"Variables": {"FORMAT_WEIGHT": "0.1"}}, "Timeout": 60, "MemorySize": 1769},
    )


def test_a_grader_may_write_its_log_and_nothing_else(folder: Path) -> None:
    assert _actions(synthesized({"g": str(folder)})) == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_a_judge_may_ask_the_one_model_it_is_for() -> None:
    template = synthesized({"summaries": {"folder": str(FOLDER / "summarization"), "judge": JUDGE}})

    assert _actions(template) == {"logs:CreateLogStream", "logs:PutLogEvents", "bedrock:InvokeModel"}
    template.has_resource_properties(
        "AWS::Lambda::Function", {"Environment": {"Variables": {"JUDGE_MODEL": JUDGE}}}
    )
    (asking,) = (one for one in _statements(template) if one["Action"] == "bedrock:InvokeModel")
    assert json.dumps(asking["Resource"]).count(f":foundation-model/{JUDGE}") == 1
    assert "*" not in json.dumps(asking["Resource"])


def test_a_judge_of_several_regions_may_be_asked_by_its_profile_alone() -> None:
    profile = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    template = synthesized({"g": {"folder": str(FOLDER / "summarization"), "judge": profile}})

    asking = [one for one in _statements(template) if one["Action"] == "bedrock:InvokeModel"]

    for statement in asking:
        assert f"inference-profile/{profile}" in json.dumps(statement)


def test_a_template_can_be_deployed_as_it_is(tmp_path: Path) -> None:
    app = cdk.App(
        outdir=str(tmp_path),
        context={
            "graders": {name: str(FOLDER / name) for name in (*RULES, *JUDGES)},
            "aws:cdk:bundling-stacks": [],
        },
    )
    GraderFunctionsStack(app, "OutcropGraders", deployment=Deployment.from_context(app.node))
    app.synth()

    graders = [{path.name for path in file.parent.iterdir()} for file in tmp_path.glob("asset.*/handler.py")]
    assert len(graders) == len(("generic", *JUDGES))  # the others wait for their packages
    assert sum({"judge.py", "prompt.txt"} <= files for files in graders) == len(JUDGES)
    assert not any("__pycache__" in files for files in graders)


def test_two_graders_of_one_template_are_two_functions(folder: Path) -> None:
    synthesized({"a": str(folder), "b": str(folder)}).resource_count_is("AWS::Lambda::Function", 2)


def test_graders_may_be_json_on_the_command_line(folder: Path) -> None:
    assert deployment(json.dumps({"g": str(folder)})).graders["g"].folder == folder


@pytest.mark.parametrize(
    ("graders", "message"),
    [
        (["g"], 'graders must be like {"my-grader": "graders/my-grader"}, not [\'g\']'),
        ("g", 'graders must be like {"my-grader": "graders/my-grader"}, not \'g\''),
        ({"my grader": "FOLDER"}, "graders.my grader: a function's name is 1 to 64 letters, digits"),
        ({"x" * 65: "FOLDER"}, "a function's name is 1 to 64"),
        ({"OutcropApi-Api": "FOLDER"}, "graders.OutcropApi-Api: functions called so are Outcrop's own"),
        ({"a-b": "FOLDER", "ab": "FOLDER"}, "graders: 'a-b' and 'ab' differ in nothing but '-' and '_'"),
        ({"g": 7}, "graders.g must be a folder, or an object with 'folder'"),
        ({"g": {"judge": JUDGE}}, "graders.g must be a folder, or an object with 'folder'"),
        ({"g": {"folder": "FOLDER", "timeout": 3}}, "and none but environment, folder, judge, memory_mb,"),
        ({"g": "no/such/folder"}, "graders.g: there is no folder"),
        ({"g": "docs"}, "has no handler.py."),
        ({"g": {"folder": "FOLDER", "judge": True}}, "judge must be the id of a Bedrock model like"),
        ({"g": {"folder": "FOLDER", "judge": "gpt-5"}}, "judge must be the id of a Bedrock model like"),
        ({"g": {"folder": "FOLDER", "environment": {"A": 1}}}, "graders.g: environment must be like"),
        ({"g": {"folder": "FOLDER", "timeout_seconds": 901}}, "a whole number from 1 to 900, not 901"),
        ({"g": {"folder": "FOLDER", "memory_mb": "1024"}}, "a whole number from 128 to 10240, not '1024'"),
    ],
)
def test_a_wrong_grader_is_named_with_what_would_be_right(graders: Any, message: str, folder: Path) -> None:
    placed = json.loads(json.dumps(graders).replace("FOLDER", str(folder)))

    with pytest.raises(ValueError) as caught:
        deployment(placed)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [("def grade(): ...", "has no function lambda_handler or handler"), ("def (", "is not Python")],
)
def test_a_handler_that_lambda_could_not_call_is_refused(source: str, message: str, folder: Path) -> None:
    (folder / "handler.py").write_text(source)

    with pytest.raises(ValueError, match=message):
        deployment({"g": str(folder)})


def test_the_settings_in_cdk_json_count_when_the_app_runs_alone(tmp_path: Path) -> None:
    """As `make synth` runs it."""
    (tmp_path / "app.py").write_text((bundle.ROOT / "app.py").read_text())
    (tmp_path / "cdk.json").write_text('{"context": {"graders": {"g": "no/such/folder"}}}')

    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
        | {"PYTHONPATH": str(bundle.ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("cdk.json: graders.g: there is no folder")


@pytest.mark.slow
def test_the_packages_of_requirements_txt_are_in_the_asset_for_arm64(folder: Path, tmp_path: Path) -> None:
    (folder / "requirements.txt").write_text("regex==2026.11.15\n")
    app = cdk.App(outdir=str(tmp_path / "out"), context={"graders": {"g": str(folder)}})
    GraderFunctionsStack(app, "OutcropGraders", deployment=Deployment.from_context(app.node))
    app.synth()

    (handler,) = (tmp_path / "out").glob("asset.*/handler.py")
    assert (handler.parent / "mine.py").is_file()
    assert [*(handler.parent / "regex").glob("*aarch64*.so")]


@pytest.mark.slow
def test_a_wheel_has_the_templates_whole(tmp_path: Path) -> None:
    uv = uv_command()
    subprocess.run([*uv, "build", "--wheel", "--out-dir", str(tmp_path)], cwd=bundle.ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")

    names = set(zipfile.ZipFile(wheel).namelist())

    for template in (*RULES, *JUDGES):
        for file in ("handler.py", "README.md", "example.jsonl", "example_completions.jsonl"):
            assert f"lambdas/reward_templates/{template}/{file}" in names
    assert "lambdas/reward_templates/judge.py" in names


def _statements(template: Template) -> list[dict[str, Any]]:
    policies = template.find_resources("AWS::IAM::Policy").values()
    return [one for policy in policies for one in policy["Properties"]["PolicyDocument"]["Statement"]]


def _actions(template: Template) -> set[str]:
    actions: set[str] = set()
    for statement in _statements(template):
        listed = statement["Action"]
        actions |= {listed} if isinstance(listed, str) else set(listed)
    return actions
