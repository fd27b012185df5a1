"""What holds for all rule templates: their worked examples, and what a batch does to its samples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.functions import Functions
from outcrop import dataset
from outcrop.graders.contracts import batch_event
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion
from outcrop.reward_templates import FOLDER, RULES
from outcrop.types.grader import LambdaGrader
from tests.graders.lambda_endpoint import Handler, LambdaEndpoint
from tests.reward_templates.rules import example_completions, load, log_of

A_ROW: dict[str, dict[str, Any]] = {
    "math_reasoning": {"reference_answer": "18"},
    "format_constraints": {"constraints": {"words": {"max": 5}}},
    "generic": {"reference_answer": "18"},
}
"""A row for which `18` is a completion without fault."""


@pytest.fixture
def grade(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`grade(handler, completions)`: by the pipeline that jobs use, as a function behind Lambda's wire."""
    endpoint = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def run(handler: Handler, completions: list[GradedCompletion]) -> list[Any]:
        definition = {"type": "lambda", "lambda": {"function": endpoint.function(handler)}}
        grading = GraderPipeline(LambdaGrader.model_validate(definition), concurrency=1, backoff_seconds=0)
        try:
            return grading.grade(completions)
        finally:
            grading.close()

    yield run
    endpoint.stop()


@pytest.mark.parametrize("name", RULES)
def test_the_worked_example_earns_what_it_says(name: str, grade: Any) -> None:
    completions, expected = zip(*example_completions(name), strict=True)

    rewards = grade(load(name).lambda_handler, list(completions))

    assert [reward.error for reward in rewards] == [None] * len(expected)
    assert [round(reward.reward, 4) for reward in rewards] == list(expected)
    assert all(reward.metrics for reward in rewards)


@pytest.mark.parametrize("name", RULES)
def test_the_example_is_a_file_to_train_on(name: str) -> None:
    with (FOLDER / name / "example.jsonl").open("rb") as lines:
        rows = dataset.read(lines)

    assert 5 <= len(rows) <= 10


@pytest.mark.parametrize("name", RULES)
def test_a_sample_that_cannot_be_graded_is_left_out_alone_and_named_in_the_log(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    event = batch_event([GradedCompletion(A_ROW[name], "18"), GradedCompletion({}, "secret text")])
    broken: list[Any] = [{"id": "no-messages"}, {"id": "odd", "messages": [{"content": 7}]}, "text", None]

    answered = load(name).lambda_handler([*event, *broken], None)

    assert [(one["id"], one["aggregate_reward_score"]) for one in answered] == [(event[0]["id"], 1.0)]
    said = log_of(caplog)
    assert f"id={event[1]['id']} reason=the row has no" in said
    assert "id=no-messages reason=" in said
    assert said.count("no reward:") == 5
    assert "secret" not in said


@pytest.mark.parametrize("name", RULES)
def test_the_reason_is_told_where_nothing_could_be_graded(name: str, grade: Any) -> None:
    [reward] = grade(load(name).lambda_handler, [GradedCompletion({}, "18")])

    assert reward.error == "grader_exception"
    assert "CannotGrade: the row has no" in reward.message


@pytest.mark.parametrize("name", RULES)
def test_another_contract_is_refused_in_words(name: str) -> None:
    with pytest.raises(TypeError, match='the grader\'s type is "lambda"'):
        load(name).lambda_handler({"prompt": "2 + 2?", "response": "4"}, None)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "   \n\t",
        [],
        [{"type": "text", "text": ""}],
        "x" * 1_000_000,
        "{" * 1_000_000,
        "\\boxed{" * 100_000,
        "[" * 100_000,
        "1," * 200_000,
        "#### 1" + " " * 200_000 + "x",
        "\U0001d7d9\U0001d7e0 \u0661\u0668 \uff11\uff18 \u202e81 \u0000",
        "\\boxed{" + "\\frac{1}{" * 5_000 + "}" * 5_001,
        "answer is " * 50_000,
    ],
    ids=lambda content: repr(content)[:24],
)
def test_hostile_completions_are_answered_in_time_and_earn_little(name: str, content: Any) -> None:
    row = {**A_ROW[name], "constraints": {"words": {"max": 5}, "regex": "^18$", "language": "en"}}
    [entry] = batch_event([GradedCompletion(row, "")])
    entry["messages"][-1]["content"] = content

    [answered] = load(name).lambda_handler([entry], None)

    assert answered["aggregate_reward_score"] < 0.7


@pytest.mark.parametrize("name", RULES)
def test_parts_of_a_message_are_read_as_one_text(name: str) -> None:
    [entry] = batch_event([GradedCompletion(A_ROW[name], "")])
    entry["messages"][-1]["content"] = [{"type": "text", "text": "1"}, {"type": "text", "text": "8"}]

    [answered] = load(name).lambda_handler([entry], None)

    assert answered["aggregate_reward_score"] == 1.0


@pytest.mark.parametrize("name", RULES)
def test_a_template_imports_nothing_of_outcrop_and_is_short(name: str) -> None:
    sources = {path.name: path.read_text() for path in (FOLDER / name).glob("*.py")}

    assert all("outcrop" not in source.lower() for source in sources.values())
    assert all(len(source.splitlines()) <= 150 for source in sources.values())


@pytest.mark.parametrize(
    "name", ["format_constraints", pytest.param("math_reasoning", marks=pytest.mark.slow)]
)
def test_it_runs_under_lambdas_runtime(name: str, tmp_path: Path) -> None:
    functions = Functions("http://127.0.0.1:1", tmp_path)
    event = batch_event([GradedCompletion(A_ROW[name], "18")])
    try:
        functions.register_grader(name, FOLDER / name / "handler.py")
        answer, is_error = functions.invoke(name, json.dumps(event).encode())
    finally:
        functions.stop()

    assert not is_error, answer
    assert [one["aggregate_reward_score"] for one in json.loads(answer)] == [1.0]
