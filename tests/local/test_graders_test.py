"""`outcrop graders test` against a running loop: a real model, the sandbox, and a judge behind a server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from typer.testing import CliRunner, Result

from outcrop.cli.main import app
from tests import tiny_model
from tests.graders.judging import SCORE_MODEL, a_verdict, says, scripted_judge
from tests.local.running import RunningLocal

pytestmark = pytest.mark.slow

PYTHON = {
    "type": "python",
    "name": "starts_right",
    "source": (
        "def grade(sample, item):\n"
        "    said = sample['output_text'].strip()\n"
        "    return float(said.startswith(item['reference_answer']))\n"
    ),
}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLocal]:
    tiny_model.ensure()
    with scripted_judge() as (server, url):

        def judge() -> Response:
            asked, _, _ = server.request["messages"][-1]["content"].rpartition("\n\n")  # the verdict's form
            wanted, given = asked.removeprefix("Wanted: ").split("\nGiven: ", 1)
            if "exit(" in given:
                return says(None, refusal="I would rather not.")
            return says(a_verdict(1.0 if wanted in given else 0.2))

        server.replies = [judge]
        options = f"--judge=a-judge={url}#the-model"
        with RunningLocal(tmp_path_factory.mktemp("loop") / "state", options) as local:
            yield local


@pytest.fixture
def tried(loop: RunningLocal, tmp_path: Path) -> Any:
    """`tried(grader)`: the command's result and the report it printed."""

    def run(grader: dict[str, Any]) -> tuple[Result, dict[str, Any]]:
        (tmp_path / "grader.json").write_text(json.dumps(grader))
        rows = [json.dumps(row) for row in tiny_model.rows(held_out=True)]
        (tmp_path / "rows.jsonl").write_text("\n".join(rows))
        arguments = ["graders", "test", f"{tmp_path}/rows.jsonl", "--grader", f"{tmp_path}/grader.json"]
        options = ["--model", "tiny-caps", "-n", "8", "--samples", "2", "--json"]
        result = CliRunner().invoke(app, [*arguments, *options], env=loop.settings)
        return result, json.loads(result.stdout)

    return run


def probes(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {probe["name"]: probe for probe in report["probes"]}


def test_a_python_grader_is_tried_in_the_sandbox(tried: Any) -> None:
    result, report = tried(PYTHON)

    assert result.exit_code == 0, result.output
    assert (report["grader"]["type"], report["rows"]) == ("python", 8)
    assert (report["rewards"]["graded"], report["grading"]["failed"]) == (16, 0)
    assert report["reference_mean"] == 1.0
    assert 0 < report["rewards"]["mean"] < 1
    assert all(probe["verdict"] == "earns nothing" for probe in report["probes"] if probe["graded"])
    assert report["cost"]["judge_tokens"] == {}


def test_a_judge_that_can_be_cheated_is_found_out_and_its_cost_told(tried: Any) -> None:
    """It pays for the right answer wherever it stands."""
    result, report = tried(SCORE_MODEL)

    assert result.exit_code == 1, result.output
    assert report["rewards"]["lowest"] == 0.2 and report["rewards"]["highest"] == 1.0
    found = probes(report)
    assert found["every answer at once"]["verdict"] == "pays"
    assert found["code that exits"]["failures"][0]["kind"] == "model_grader_refusal_error"
    assert report["cost"]["judge_tokens"]["the-model"]["prompt_tokens"] > 0
    assert any("every answer at once" in finding for finding in report["findings"])
