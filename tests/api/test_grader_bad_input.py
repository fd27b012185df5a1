"""What is wrong with a grader, its rows or its function, told before a job or at its trial run: one message
for each mistake. A throttled function is in `test_graders_routes.py`; a completion over the payload limit,
which no request could carry, in `test_lambda_grader.py`.
"""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.account import Account
from tests.api.wire import aws_calls
from tests.factories import STRING_CHECK, a_file
from tests.graders.lambda_endpoint import Handler, LambdaEndpoint, TimedOut

ROW = {"messages": [{"role": "user", "content": "The capital of France?"}], "answer": {"city": "Paris"}}
GRADER = STRING_CHECK | {"reference": "{{item.answer.city}}"}


@pytest.fixture
def endpoint(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    yield server
    server.stop()


def a_file_of(*rows: dict[str, Any] | str, **fields: Any) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    return a_file(content="\n".join(lines).encode(), **fields).id


def a_multi(formula: str, **graders: Any) -> dict[str, Any]:
    return {"type": "multi", "graders": {"exact": GRADER, **graders}, "calculate_output": formula}


def validated(client: OpenAI, grader: Any, file: str | None = None) -> Any:
    extra = {"training_file": file} if file else None
    return client.fine_tuning.alpha.graders.validate(grader=grader, extra_body=extra)


def created(client: OpenAI, grader: Any, file: str) -> Any:
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    return client.fine_tuning.jobs.create(model="tiny-caps", training_file=file, method=method)


def why_no_reward(client: OpenAI, grader: Any, sample: str = "Paris") -> tuple[list[str], str]:
    """The flags of a trial run and its message."""
    answer = client.fine_tuning.alpha.graders.run(grader=grader, model_sample=sample, item=ROW).to_dict()
    metadata: Any = answer["metadata"]
    assert answer["reward"] == 0.0
    return [name for name, flag in metadata["errors"].items() if flag is True], metadata["error_message"]


def refusal(ask: Any, *arguments: Any) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(*arguments)
    return caught.value


# Templates and the training file


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{{answer}}", "has to begin with 'item.' or 'sample.'"),
        ("{{sample.output_audio.data}}", "There is no 'sample.output_audio' here: these models write text"),
        (
            "{{sample.output_tool[0]}}",
            "There is no 'sample.output_tool'; sample has output_text, ",
        ),
        ("{{sample.output_tools.name}}", "'sample.output_tools' is a list: its first one is"),
        ("{{item.answer.city", "A '{{' is never closed by '}}'."),
    ],
)
def test_an_unknown_variable_is_refused_before_the_job(client: OpenAI, reference: str, message: str) -> None:
    grader = STRING_CHECK | {"reference": reference}

    for error in (refusal(validated, client, grader), refusal(created, client, grader, a_file().id)):
        assert message in error.message
        assert (error.param or "").endswith("grader.reference")


@pytest.mark.parametrize(
    ("grader", "field", "missing"),
    [
        (STRING_CHECK | {"reference": "{{item.answr}}"}, "reference", "item.answr"),
        (GRADER | {"input": "{{item.answer.town}} {{sample.output_text}}"}, "input", "item.answer.town"),
        (STRING_CHECK | {"reference": "{{item.answer[0]}}"}, "reference", "item.answer[0]"),
        (a_multi("exact", other=STRING_CHECK), "graders.other.reference", "item.reference_answer"),
        (
            {
                "type": "text_similarity",
                "input": "{{sample.output_text}}",
                "reference": "{{item.text}}",
                "evaluation_metric": "meteor",
            },
            "reference",
            "item.text",
        ),
        (
            {
                "type": "score_model",
                "model": "any.model-v1:0",
                "input": [{"role": "user", "content": "Is {{sample.output_text}} {{item.rubric}}?"}],
            },
            "input.0.content",
            "item.rubric",
        ),
    ],
)
def test_a_column_that_the_rows_do_not_have_is_named_with_those_they_have(
    client: OpenAI, grader: dict[str, Any], field: str, missing: str
) -> None:
    file = a_file_of(ROW)

    error = refusal(validated, client, grader, file)

    assert error.message.endswith(
        f"grader.{field}: line 1 of training_file '{file}' has no '{missing}', which grader.{field} reads; "
        "it has messages, answer."
    )
    assert (error.param, error.code) == (f"grader.{field}", "invalid_variable_error")


def test_job_creation_refuses_it_too_and_leaves_no_job(client: OpenAI) -> None:
    error = refusal(created, client, STRING_CHECK, a_file_of(ROW))

    assert "line 1 of training_file" in error.message
    assert error.param == "method.reinforcement.grader.reference"
    assert client.fine_tuning.jobs.list().data == []


def test_a_column_missing_in_one_row_is_named_with_its_line(client: OpenAI) -> None:
    rows = [ROW, "", ROW, {"messages": ROW["messages"], "solution": "Paris"}, ROW]

    error = refusal(created, client, GRADER, a_file_of(*rows))

    assert "line 4 of" in error.message
    assert "has no 'item.answer', which grader.reference reads; it has messages, solution." in error.message


def test_rows_that_have_every_column_pass(client: OpenAI) -> None:
    file = a_file_of(*[ROW] * 3)

    assert validated(client, GRADER, file).grader.name == "exact"
    assert created(client, GRADER, file).status == "validating_files"


def test_only_the_first_rows_are_read_by_one_short_read(client: OpenAI, aws: Account) -> None:
    long = ROW | {"answer": {"city": "Paris", "padding": "x" * 200_000}}
    late = a_file_of(long, long, {"messages": ROW["messages"]})
    hundredth = a_file_of(*[ROW] * 100, {"messages": ROW["messages"]})

    assert created(client, GRADER, hundredth).status == "validating_files"
    with aws_calls(aws) as calls:
        assert created(client, GRADER, late).status == "validating_files"

    assert calls[calls.index("BatchGetItem") :] == [
        "BatchGetItem",
        "GetObject",
        "PutItem",
        "TransactWriteItems",
        "StartExecution",
    ]


def test_a_file_whose_parts_are_apart_is_left_to_the_workflow(client: OpenAI) -> None:
    file = a_file(status="uploaded", upload_id="upload_1")

    assert created(client, GRADER, file.id).status == "validating_files"
    with pytest.raises(openai.ConflictError, match="are still being put together"):
        validated(client.with_options(max_retries=0), GRADER, file.id)


def test_a_file_that_is_not_there_is_refused_by_validate(client: OpenAI) -> None:
    error = refusal(validated, client, GRADER, "file-absent")

    assert (error.param, "file-absent" in error.message) == ("training_file", True)


# A sample


def test_output_json_of_a_sample_that_is_not_json(client: OpenAI) -> None:
    flags, message = why_no_reward(client, GRADER | {"input": "{{sample.output_json.city}}"})

    assert flags == ["sample_parse_error"]
    assert message == "The template reads sample.output_json, but the completion is not JSON."


def test_a_call_of_a_sample_that_calls_nothing(client: OpenAI) -> None:
    flags, message = why_no_reward(client, GRADER | {"input": "{{sample.output_tools[0].function.name}}"})

    assert flags == ["invalid_variable_error"]
    assert message.startswith("There is no 'sample.output_tools[0]'")


def test_choices_are_there_for_a_trial_run(client: OpenAI) -> None:
    grader: Any = GRADER | {"input": "{{sample.choices[0].message.content}}"}

    answer = client.fine_tuning.alpha.graders.run(grader=grader, model_sample="Paris", item=ROW)

    assert answer.reward == 1.0


# Formulas


@pytest.mark.parametrize(
    ("grader", "param", "message"),
    [
        (a_multi("exact", inner=a_multi("exact")), "graders.inner.type", "'multi' is not supported"),
        (a_multi("exact + close"), "calculate_output", "There is no grader 'close'"),
        (a_multi("system(exact)"), "calculate_output", "There is no function 'system'; there are min, max,"),
        (a_multi("9" * 400), "calculate_output", "is too large"),
    ],
)
def test_a_formula_that_no_reward_could_make_right(
    client: OpenAI, grader: dict[str, Any], param: str, message: str
) -> None:
    error = refusal(created, client, grader, a_file_of(ROW))

    assert message in error.message
    assert error.param == f"method.reinforcement.grader.{param}"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("1 / (exact - 1)", "calculate_output has no result: it divides by zero (exact = 1)."),
        ("9 ^ 9 ^ 9 ^ exact ^ 9 ^ 9", "calculate_output has no result: a number in it grows too large"),
        ("exp(exp(exp(exact + 9)))", "calculate_output has no result: a number in it grows too large"),
        ("sqrt(-exact)", "calculate_output has no result: a root, logarithm or power in it has no result"),
    ],
)
def test_a_formula_without_a_result(client: OpenAI, formula: str, message: str) -> None:
    flags, told = why_no_reward(client, a_multi(formula))

    assert flags == ["formula_parse_error"]
    assert told.startswith(message)


# Functions


def test_a_function_in_the_wrong_region_or_account(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    arn = endpoint.function(lambda event, context: 1.0).replace(":grader", ":elsewhere")
    absent = refusal(created, client, {"type": "custom_code", "lambda_arn": arn}, a_file().id)
    endpoint.fail((403, "AccessDeniedException"))
    denied = refusal(created, client, {"type": "custom_code", "lambda_arn": arn}, a_file().id)

    assert "does not exist; are its name, Region and account right?" in absent.message
    assert "may not be called. It needs the tag outcrop:grader = true" in denied.message
    assert (absent.code, denied.code) == ("grader_not_found", "grader_access_denied")


def raising(event: Any, context: Any) -> Any:
    raise KeyError("answer")


def timing_out(event: Any, context: Any) -> Any:
    raise TimedOut


def answering(*entries: dict[str, Any]) -> Handler:
    """A batch function that answers the one id it is asked for as `entries` say."""
    return lambda event, context: [{"id": event[0]["id"]} | entry for entry in entries]


@pytest.mark.parametrize(
    ("handler", "flag", "message"),
    [
        (raising, "python_grader_runtime_error", "KeyError: 'answer'"),
        (timing_out, "python_grader_runtime_error", "The function ran into its own time-out"),
        (answering(), "unresponsive_reward_error", "The function left an id out: it answered 0 for 1"),
        (
            answering({"aggregate_reward_score": 1}, {"aggregate_reward_score": 0}),
            "unresponsive_reward_error",
            "The function answered 2 times for one id.",
        ),
        (
            answering({"id": "made-up", "aggregate_reward_score": 1}),
            "unresponsive_reward_error",
            "The function left an id out: it answered 1 for 1 completions, 1 of them under an unknown id",
        ),
        (answering({}), "unresponsive_reward_error", "The function's answer has no 'aggregate_reward_score'"),
    ],
)
def test_a_function_that_gives_no_reward(
    client: OpenAI, endpoint: LambdaEndpoint, handler: Handler, flag: str, message: str
) -> None:
    grader = {"type": "lambda", "lambda": {"function": endpoint.function(handler)}}

    flags, told = why_no_reward(client, grader)

    assert flags == [flag]
    assert told.startswith(message)


def test_more_answers_than_questions_cost_nothing(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    handler = answering({"aggregate_reward_score": 1}, {"id": "more", "aggregate_reward_score": 0})
    grader: Any = {"type": "lambda", "lambda": {"function": endpoint.function(handler)}}

    answer = client.fine_tuning.alpha.graders.run(grader=grader, model_sample="Paris", item=ROW)

    assert answer.reward == 1.0
