"""`/v1/fine_tuning/alpha/graders`: the dry run of a grader is the run."""

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning.alpha import GraderRunResponse

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline
from outcrop.operations import graders
from outcrop.types.grader import StringCheckGrader
from tests.account import Account
from tests.factories import STRING_CHECK
from tests.graders.lambda_endpoint import PASSED, Handler, LambdaEndpoint, TimedOut

ITEM = {"reference_answer": "Paris", "question": "The capital of France?"}
FLAGS = {
    "formula_parse_error",
    "sample_parse_error",
    "truncated_observation_error",
    "unresponsive_reward_error",
    "invalid_variable_error",
    "other_error",
    "python_grader_server_error",
    "python_grader_runtime_error",
    "model_grader_server_error",
    "model_grader_refusal_error",
    "model_grader_parse_error",
}
DETAILS = {
    "python_grader_server_error_type",
    "python_grader_runtime_error_details",
    "model_grader_server_error_details",
}


def a_multi(calculate_output: str = "(exact + close) / 2", **graders: Any) -> dict[str, Any]:
    close = {
        "type": "text_similarity",
        "input": "{{sample.output_text}}",
        "reference": "{{item.reference_answer}}",
        "evaluation_metric": "fuzzy_match",
    }
    return {
        "type": "multi",
        "graders": {"exact": STRING_CHECK, "close": close} | graders,
        "calculate_output": calculate_output,
    }


def run(client: OpenAI, grader: Any, model_sample: str = "Paris", item: Any = ITEM) -> GraderRunResponse:
    return client.fine_tuning.alpha.graders.run(grader=grader, model_sample=model_sample, item=item)


def flags(answer: GraderRunResponse) -> list[str]:
    """The names of the errors that are true."""
    return [name for name, value in answer.to_dict()["metadata"]["errors"].items() if value is True]  # pyright: ignore


@pytest.fixture
def endpoint(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    yield server
    server.stop()


def test_a_run_answers_the_whole_of_openais_schema(client: OpenAI) -> None:
    answer = run(client, STRING_CHECK).to_dict()

    metadata: Any = answer.pop("metadata")
    errors = metadata.pop("errors")
    assert answer == {"reward": 1.0, "sub_rewards": {}, "model_grader_token_usage_per_model": {}}
    assert errors == dict.fromkeys(FLAGS, False) | dict.fromkeys(DETAILS)
    assert metadata.pop("execution_time") >= 0
    assert metadata == {
        "name": "exact",
        "type": "string_check",
        "error_message": None,
        "scores": {},
        "token_usage": None,
        "sampled_model_name": None,
        "explanation": None,
    }


@pytest.mark.parametrize("text", ["Paris", "paris", "Lyon", ""])
def test_the_run_is_the_trainers(client: OpenAI, text: str) -> None:
    pipeline = GraderPipeline(StringCheckGrader.model_validate(STRING_CHECK))

    [trained] = pipeline.grade([GradedCompletion(ITEM, text)])

    assert run(client, STRING_CHECK, text).reward == trained.reward


def test_an_item_may_be_left_out(client: OpenAI) -> None:
    grader: Any = STRING_CHECK | {"reference": "Paris"}

    answer = client.fine_tuning.alpha.graders.run(grader=grader, model_sample="Paris")

    assert (answer.reward, flags(answer)) == (1.0, [])


def test_output_json_is_there_when_the_sample_is_json(client: OpenAI) -> None:
    grader = STRING_CHECK | {"input": "{{sample.output_json.city}}"}

    assert run(client, grader, '{"city": "Paris"}').reward == 1.0


@pytest.mark.parametrize(
    ("change", "sample", "flag", "message"),
    [
        ({"reference": "{{item.absent}}"}, "Paris", "invalid_variable_error", "There is no 'item.absent'"),
        ({"input": "{{sample.output_json.city}}"}, "Paris", "sample_parse_error", "is not JSON"),
        ({"input": "{{sample.output_json.city}}"}, "{}", "invalid_variable_error", "output_json.city'"),
    ],
)
def test_a_sample_that_cannot_be_graded_gets_zero_and_a_flag(
    client: OpenAI, change: dict[str, str], sample: str, flag: str, message: str
) -> None:
    answer = run(client, STRING_CHECK | change, sample)

    assert (answer.reward, flags(answer)) == (0.0, [flag])
    assert message in answer.to_dict()["metadata"]["error_message"]  # pyright: ignore[reportIndexIssue]


def test_a_multi_grader_answers_its_sub_rewards(client: OpenAI) -> None:
    answer = run(client, a_multi(), "Pariser")

    close = 2 * 5 / 12
    assert answer.sub_rewards == {"exact": 0.0, "close": pytest.approx(close)}
    assert answer.reward == pytest.approx(close / 2)
    assert (answer.metadata.name, answer.metadata.type, flags(answer)) == ("multi", "multi", [])


def test_a_formula_without_a_result_is_a_failure_of_that_sample(client: OpenAI) -> None:
    grader = a_multi("close / exact")

    good, bad = run(client, grader, "Paris"), run(client, grader, "Lyon")

    assert (good.reward, flags(good)) == (1.0, [])
    assert (bad.reward, flags(bad)) == (0.0, ["formula_parse_error"])
    assert bad.sub_rewards["exact"] == 0.0
    assert "divides by zero" in bad.to_dict()["metadata"]["error_message"]  # pyright: ignore[reportIndexIssue]


def test_a_part_that_fails_is_named_and_the_others_are_shown(client: OpenAI) -> None:
    broken = STRING_CHECK | {"reference": "{{item.absent}}"}

    answer = run(client, a_multi(exact=broken), "Paris")

    assert (answer.reward, answer.sub_rewards) == (0.0, {"close": 1.0})
    assert flags(answer) == ["invalid_variable_error"]
    assert "Grader 'exact': There is no" in answer.to_dict()["metadata"]["error_message"]  # pyright: ignore


def raising(event: Any, context: Any) -> Any:
    raise KeyError("api_key")


def timing_out(event: Any, context: Any) -> Any:
    raise TimedOut


@pytest.mark.parametrize(
    ("handler", "flag"),
    [
        (raising, "python_grader_runtime_error"),
        (timing_out, "python_grader_runtime_error"),
        (lambda event, context: None, "unresponsive_reward_error"),
        (lambda event, context: "good", "unresponsive_reward_error"),
        (lambda event, context: {"reward": True}, "unresponsive_reward_error"),
        (lambda event, context: {"reward": 1e300}, "unresponsive_reward_error"),
        (lambda event, context: b"NaN", "unresponsive_reward_error"),
    ],
)
def test_a_function_that_gives_no_reward_is_told_by_its_flag(
    client: OpenAI, endpoint: LambdaEndpoint, handler: Handler, flag: str
) -> None:
    grader = {"type": "custom_code", "lambda_arn": endpoint.function(handler)}

    answer = run(client, grader)

    assert (answer.reward, flags(answer)) == (0.0, [flag])


def test_an_exception_of_the_function_comes_with_its_traceback(
    client: OpenAI, endpoint: LambdaEndpoint
) -> None:
    grader = {"type": "lambda", "lambda": {"function": endpoint.function(raising)}}

    errors = run(client, grader).metadata.errors

    assert errors.python_grader_runtime_error_details is not None
    assert errors.python_grader_runtime_error_details.startswith("KeyError: 'api_key'\n")
    assert "in raising" in errors.python_grader_runtime_error_details


def test_a_functions_metrics_are_the_scores(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    def handler(event: Any, context: Any) -> Any:
        metrics = [{"name": "length", "value": 5, "type": "Metric"}]
        return [{"id": one["id"], "aggregate_reward_score": 0.5, "metrics_list": metrics} for one in event]

    answer = run(client, {"type": "lambda", "lambda": {"function": endpoint.function(handler)}})

    assert (answer.reward, answer.metadata.scores) == (0.5, {"length": 5.0})


def test_a_function_can_be_a_part_of_a_multi_grader(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    arn = endpoint.function(lambda event, context: 0.25)

    answer = run(client, a_multi("exact + own", own={"type": "custom_code", "lambda_arn": arn}))

    assert answer.reward == 1.25
    assert answer.sub_rewards == {"exact": 1.0, "close": 1.0, "own": 0.25}


def test_a_function_that_takes_longer_than_a_request_is_not_waited_for(
    client: OpenAI, endpoint: LambdaEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake = threading.Event()
    monkeypatch.setattr(graders, "_LONGEST_RUN_SECONDS", 0.5)
    arn = endpoint.function(lambda event, context: awake.wait(20))

    answer = run(client, {"type": "custom_code", "lambda_arn": arn})
    awake.set()

    assert flags(answer) == ["python_grader_runtime_error"]
    assert "did not answer within" in (answer.metadata.errors.python_grader_runtime_error_details or "")


def test_a_function_throttled_throughout_is_a_fault_of_the_service(
    client: OpenAI, endpoint: LambdaEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.graders.calls._LONGEST_WAIT_SECONDS", 0.01)

    def handler(event: Any, context: Any) -> Any:
        return 1.0

    arn = endpoint.function(handler)
    endpoint.fail((PASSED, ""), *[(429, "TooManyRequestsException")] * 6)  # the first asks if it exists

    answer = run(client, {"type": "custom_code", "lambda_arn": arn})

    assert flags(answer) == ["python_grader_server_error"]
    assert answer.metadata.errors.python_grader_server_error_type == "grader_throttled"


@pytest.mark.parametrize("route", ["run", "validate"])
@pytest.mark.parametrize(
    ("grader", "param", "message"),
    [
        ({}, "grader.type", "this field is required"),
        ({"type": "vibes"}, "grader.type", "'vibes' is not supported; 'string_check', 'text_sim"),
        ({"type": "python", "source": "x"}, "grader.source", "The source has no 'grade'"),
        ({"type": "python", "source": "if"}, "grader.source", "does not compile: line 1: invalid syntax"),
        ({"type": "python", "source": "#" * 256_001}, "grader.source", "The source has 256,001 bytes"),
        ({"type": "python"}, "grader.source", "this field is required"),
        (STRING_CHECK | {"operation": "equals"}, "grader.operation", "should be 'eq', 'ne', 'like' or"),
        ({"type": "string_check", "input": "a"}, "grader.reference", "this field is required"),
        (STRING_CHECK | {"input": 7}, "grader.input", "should be a valid string"),
        (STRING_CHECK | {"input": "{{row.a}}"}, "grader.input", "has to begin with 'item.' or 'sample.'"),
        (STRING_CHECK | {"reference": "{{item.a"}, "grader.reference", "never closed"),
        (
            a_multi()["graders"]["close"] | {"evaluation_metric": "cosine"},
            "grader.evaluation_metric",
            "'cosine' is not supported: it compares embeddings",
        ),
        (a_multi(graders={}) | {"graders": {}}, "grader.graders", "at least 1 item"),
        (a_multi() | {"graders": STRING_CHECK}, "grader.graders", "should be an object of graders by name"),
        (a_multi(inner=a_multi()), "grader.graders.inner.type", "'multi' is not supported; 'string_check'"),
        (a_multi("exact", **{"my-key": STRING_CHECK}), "grader.graders.my-key", "should match pattern"),
        (
            a_multi(bad=STRING_CHECK | {"input": "{{a}}"}),
            "grader.graders.bad.input",
            "has to begin with",
        ),
        (a_multi("exact + clos"), "grader.calculate_output", "no grader 'clos'; .* 'exact', 'close'"),
        (a_multi("exact +"), "grader.calculate_output", "This is not a formula"),
        (a_multi("exact ** 2"), "grader.calculate_output", "This is not a formula"),
        ({"type": "lambda", "lambda": {"function": "f"}}, "grader.lambda.function", "is not the ARN"),
        ({"type": "custom_code", "lambda_arn": "f"}, "grader.lambda_arn", "is not the ARN"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_by_its_field(
    client: OpenAI, route: str, grader: Any, param: str, message: str
) -> None:
    ask = client.fine_tuning.alpha.graders
    with pytest.raises(openai.BadRequestError, match=message) as caught:
        ask.run(grader=grader, model_sample="a") if route == "run" else ask.validate(grader=grader)

    assert caught.value.param == param
    assert caught.value.message.partition(" - ")[2].startswith(f"{param}: ")


def test_a_function_that_does_not_exist_is_refused(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    arn = endpoint.function(raising).replace(":grader", ":absent")

    with pytest.raises(openai.BadRequestError, match="does not exist; are its name, Region") as caught:
        run(client, {"type": "custom_code", "lambda_arn": arn})

    assert (caught.value.param, caught.value.code) == ("grader.lambda_arn", "grader_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model_sample": "a"}, "grader"),
        ({"grader": STRING_CHECK}, "model_sample"),
        ({"grader": STRING_CHECK, "model_sample": 7}, "model_sample"),
        ({"grader": STRING_CHECK, "model_sample": "a", "item": ["a"]}, "item"),
        ({"grader": "exact", "model_sample": "a"}, "grader"),
    ],
)
def test_a_bad_request_is_refused_by_its_field(client: OpenAI, body: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/fine_tuning/alpha/graders/run", body=body, cast_to=GraderRunResponse)

    assert caught.value.param == param


@pytest.mark.parametrize(
    "grader",
    [
        {name: value for name, value in STRING_CHECK.items() if name != "name"},
        a_multi()["graders"]["close"],
    ],
)
def test_validate_answers_the_grader_with_its_name(client: OpenAI, grader: Any) -> None:
    validated = client.fine_tuning.alpha.graders.validate(grader=grader).grader

    assert validated is not None
    assert validated.to_dict() == grader | {"name": grader["type"]}


def test_validate_says_ne_where_the_guide_says_neq(client: OpenAI) -> None:
    grader: Any = STRING_CHECK | {"operation": "neq"}

    validated = client.fine_tuning.alpha.graders.validate(grader=grader).grader

    assert validated is not None
    assert validated.to_dict()["operation"] == "ne"


def test_validate_answers_a_multi_grader(client: OpenAI) -> None:
    """The SDK's type takes its `graders` for one grader, as OpenAI's schema has it by mistake."""
    grader: Any = a_multi("exact * in", **{"in": STRING_CHECK})

    answer = client.fine_tuning.alpha.graders.with_raw_response.validate(grader=grader)

    validated = answer.http_response.json()["grader"]
    assert validated["calculate_output"] == grader["calculate_output"]
    assert {key: one["name"] for key, one in validated["graders"].items()} == {
        "exact": "exact",
        "close": "text_similarity",
        "in": "exact",
    }
