"""`outcrop graders new`, as a person types it."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outcrop.cli.main import app
from outcrop.reward_templates import FOLDER, JUDGES, RULES


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["graders", "new", *arguments], env={"COLUMNS": "300"})


@pytest.mark.parametrize("template", [*RULES, *JUDGES])
def test_each_of_the_seven_becomes_a_folder_that_stands_alone(template: str, tmp_path: Path) -> None:
    done = new("--template", template, str(tmp_path / "mine"))

    assert done.exit_code == 0, done.output
    copied = {path.name for path in (tmp_path / "mine").iterdir()}
    of_the_template = {path.name for path in (FOLDER / template).iterdir() if path.name != "__pycache__"}
    assert copied == of_the_template | ({"judge.py"} if template in JUDGES else set())
    assert {"handler.py", "README.md", "example.jsonl", "example_completions.jsonl"} <= copied


def test_a_judges_copy_imports_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new("--template", "summarization", str(tmp_path / "mine"))
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    monkeypatch.setenv("JUDGE_BASE_URL", "http://127.0.0.1:1/v1")
    for name in ("handler", "judge"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    handler = importlib.import_module("handler")

    assert callable(handler.lambda_handler)
    assert Path(sys.modules["judge"].__file__ or "").parent == tmp_path / "mine"


def test_the_folder_is_called_like_the_template_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert new("--template", "generic").exit_code == 0

    assert (tmp_path / "generic" / "handler.py").is_file()


def test_the_next_commands_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "my graders"

    done = new("--template", "rag_faithfulness", str(folder))

    assert f"outcrop local --grader rag_faithfulness='{folder}/handler.py'" in done.output
    assert f"outcrop graders test '{folder}/example.jsonl' --grader rag_faithfulness --model" in done.output
    setting = done.output.partition('"graders": ')[2].splitlines()[0]
    assert json.loads(setting) == {
        "rag_faithfulness": {"folder": str(folder), "judge": "openai.gpt-oss-120b-1:0"}
    }


def test_an_unknown_template_lists_the_seven(tmp_path: Path) -> None:
    done = new("--template", "maths", str(tmp_path / "mine"))

    assert done.exit_code == 2
    assert "There is no template 'maths'" in done.output
    assert all(name in done.output for name in (*RULES, *JUDGES))
    assert not (tmp_path / "mine").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("mine")

    done = new("--template", "generic", str(tmp_path))

    assert done.exit_code == 2
    assert "is no empty folder" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["handler.py"]
    assert (tmp_path / "handler.py").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert new("--template", "generic", str(tmp_path)).exit_code == 0

    assert (tmp_path / "handler.py").is_file()
