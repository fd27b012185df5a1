"""The task folders that the demo and the benchmarks train on."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.learning import check_disjoint
from outcrop.cli.demo import TASKS
from outcrop.cli.demo_exam import grader_handler, score
from outcrop.types.method import ReinforcementHyperparameters

FOLDERS = sorted(path.parent for path in TASKS.glob("*/grader.py"))


@pytest.mark.parametrize("task", FOLDERS, ids=lambda task: task.name)
def test_no_prompt_is_in_two_files_of_a_task(task: Path) -> None:
    check_disjoint(task)


@pytest.mark.parametrize("task", FOLDERS, ids=lambda task: task.name)
def test_a_tasks_grader_gives_its_reference_answers_a_reward_of_1_and_silence_none(task: Path) -> None:
    grader = grader_handler(task / "grader.py")
    rows = [json.loads(line) for line in (task / "held_out.jsonl").read_text().splitlines()]

    assert score(grader, rows, [_written(row["reference_answer"]) for row in rows]) == [1.0] * len(rows)
    assert score(grader, rows, [""] * len(rows)) == [0.0] * len(rows)


@pytest.mark.parametrize("task", FOLDERS, ids=lambda task: task.name)
def test_a_tasks_hyperparameters_are_ones_that_the_api_takes(task: Path) -> None:
    ReinforcementHyperparameters.model_validate_json((task / "job.json").read_text())


@pytest.mark.parametrize("task", FOLDERS, ids=lambda task: task.name)
def test_every_task_is_described(task: Path) -> None:
    assert f"| `{task.name}` |" in (TASKS / "README.md").read_text()


def _written(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)
