"""A rule template as its owner has it: imported from its own folder, and asked one batch at a time."""

import importlib.util
import json
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from outcrop.graders.contracts import batch_event
from outcrop.graders.reward import GradedCompletion
from outcrop.reward_templates import FOLDER


@cache
def load(name: str) -> ModuleType:
    """The template's handler.py, beside which it finds what it imports."""
    spec = importlib.util.spec_from_file_location(f"{name}_handler", FOLDER / name / "handler.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(FOLDER / name))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER / name))
    return module


def reward(name: str, completion: Any, **row: Any) -> float:
    """What one completion earns, `None` or parts as well. Raises what the handler raises."""
    [entry] = batch_event([GradedCompletion(row, "")])
    entry["messages"][-1]["content"] = completion
    [answered] = load(name).lambda_handler(json.loads(json.dumps([entry])), None)
    assert answered["id"] == entry["id"]
    return answered["aggregate_reward_score"]


def metrics(name: str, completion: str, **row: Any) -> dict[str, float]:
    [answered] = load(name).lambda_handler(batch_event([GradedCompletion(row, completion)]), None)
    return {metric["name"]: metric["value"] for metric in answered["metrics_list"]}


def example_completions(name: str) -> list[tuple[GradedCompletion, float]]:
    """The template's worked example: completions of its rows, and the reward that each should earn."""
    rows = [json.loads(line) for line in (FOLDER / name / "example.jsonl").read_text().splitlines()]
    said = (FOLDER / name / "example_completions.jsonl").read_text().splitlines()
    return [
        (GradedCompletion(rows[one["row"]], one["completion"]), one["reward"])
        for one in map(json.loads, said)
    ]


def log_of(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)
