"""Graders that ask a model, through `fine_tuning/alpha/graders` and at the creation of a job."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning.alpha import GraderRunResponse
from starlette.responses import Response

from outcrop import settings
from outcrop.operations import graders
from tests.account import Account
from tests.factories import STRING_CHECK, a_file
from tests.graders.judging import (
    ITEM,
    LABEL_MODEL,
    MODEL_AS_JUDGE,
    SCORE_MODEL,
    a_verdict,
    never,
    says,
    scripted_judge,
)
from tests.inference.scripted_server import ScriptedServer, error

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cached_tokens": 0}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ScriptedServer, str]]:
    with scripted_judge() as judge:
        yield judge


@pytest.fixture
def server(
    aws: Account, running: tuple[ScriptedServer, str], monkeypatch: pytest.MonkeyPatch
) -> ScriptedServer:
    """The deployment's judge, `a-judge` and by default."""
    server, url = running
    server.replies, server.asked = [], []
    judge = {"provider": "openai", "base_url": url, "model": "the-model"}
    monkeypatch.setenv("OUTCROP_JUDGES", json.dumps({"a-judge": judge, "default": judge}))
    settings.settings.cache_clear()
    return server


def run(client: OpenAI, grader: Any) -> GraderRunResponse:
    return client.fine_tuning.alpha.graders.run(grader=grader, model_sample="4", item=ITEM)


def told(answer: GraderRunResponse) -> Any:
    """The metadata with our own fields."""
    return answer.to_dict()["metadata"]


def flags(answer: GraderRunResponse) -> list[str]:
    return [name for name, value in told(answer)["errors"].items() if value is True]


@pytest.mark.parametrize(
    ("grader", "result", "reward"),
    [(SCORE_MODEL, 0.75, 0.75), (LABEL_MODEL, "fair", 1.0), (MODEL_AS_JUDGE, 0.5, 0.5)],
)
def test_a_run_answers_the_reward_its_reasons_and_its_price(
    client: OpenAI, server: ScriptedServer, grader: Any, result: Any, reward: float
) -> None:
    server.replies = [says(a_verdict(result))]

    answer = run(client, grader)

    assert (answer.reward, flags(answer), answer.metadata.type) == (reward, [], grader["type"])
    assert (answer.metadata.token_usage, answer.metadata.sampled_model_name) == (7, "the-model")
    assert answer.api_model_grader_token_usage_per_model == {"the-model": USAGE}
    assert told(answer)["explanation"] == "The sum: is right"


@pytest.mark.parametrize(
    ("reply", "flag", "message"),
    [
        (says("Hello."), "model_grader_parse_error", "6 characters that are not the JSON"),
        (says(None, refusal="No."), "model_grader_refusal_error", "refused to judge"),
        (error(401, "no"), "model_grader_server_error", "refuses the API key"),
    ],
)
def test_each_failure_of_a_judge_has_its_flag(
    client: OpenAI, server: ScriptedServer, reply: Response, flag: str, message: str
) -> None:
    server.replies = [reply]

    answer = run(client, SCORE_MODEL)

    assert (answer.reward, flags(answer)) == (0.0, [flag])
    assert message in told(answer)["error_message"]
    details = answer.metadata.errors.api_model_grader_server_error_details
    assert (details is not None) == (flag == "model_grader_server_error")


def test_what_a_failed_verdict_cost_is_told_too(client: OpenAI, server: ScriptedServer) -> None:
    server.replies = [says("Hello.")]

    answer = run(client, SCORE_MODEL)

    assert (answer.metadata.token_usage, told(answer)["explanation"]) == (7, "Hello.")


def test_a_judge_that_takes_longer_than_a_request_is_not_waited_for(
    client: OpenAI, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graders, "_LONGEST_RUN_SECONDS", 0.5)
    server.replies = [never]

    answer = run(client, SCORE_MODEL)

    assert flags(answer) == ["model_grader_server_error"]
    assert "did not answer within" in str(answer.metadata.errors.api_model_grader_server_error_details)


def test_a_multi_grader_tells_the_price_of_all_its_judges(client: OpenAI, server: ScriptedServer) -> None:
    server.replies = [says(a_verdict(0.5))]
    parts = {"exact": STRING_CHECK, "quality": SCORE_MODEL, "taste": MODEL_AS_JUDGE}

    answer = run(client, {"type": "multi", "graders": parts, "calculate_output": "exact + quality + taste"})

    assert (answer.reward, answer.sub_rewards) == (2.0, {"exact": 1.0, "quality": 0.5, "taste": 0.5})
    assert answer.metadata.token_usage == 14
    assert told(answer)["explanation"] == "quality: The sum: is right\ntaste: The sum: is right"


def test_validate_answers_the_definition_as_it_will_be_used(client: OpenAI, server: ScriptedServer) -> None:
    sampling = {"temperature": 1.0, "max_completion_tokens": 50}
    grader: Any = {name: value for name, value in SCORE_MODEL.items() if name != "name"}

    validated = client.fine_tuning.alpha.graders.validate(
        grader=grader | {"sampling_params": sampling}
    ).grader

    assert validated is not None
    shown = validated.to_dict()
    assert (shown["name"], shown["range"]) == ("score_model", [0, 1])
    assert shown["input"] == [one | {"type": "message"} for one in grader["input"]]
    nothing = {"seed": None, "top_p": None, "reasoning_effort": None}
    assert shown["sampling_params"] == nothing | {"temperature": 1.0, "max_completions_tokens": 50}


@pytest.mark.parametrize("grader", [LABEL_MODEL, MODEL_AS_JUDGE])
def test_validate_takes_what_the_sdk_has_no_type_for(
    client: OpenAI, server: ScriptedServer, grader: Any
) -> None:
    answer = client.fine_tuning.alpha.graders.with_raw_response.validate(grader=grader)

    assert answer.http_response.json()["grader"]["type"] == grader["type"]
    assert server.asked == []


def with_content(content: Any) -> dict[str, Any]:
    return SCORE_MODEL | {"input": [{"role": "user", "content": content}]}


WRONG = [
    (SCORE_MODEL | {"model": "gpt-5"}, "model", "has no judge 'gpt-5' .it has: a-judge, default"),
    (LABEL_MODEL | {"model": "gpt-4.1-mini"}, "model", "has no judge 'gpt-4.1-mini'"),
    ({**MODEL_AS_JUDGE, "model": ""}, "model", "at least 1 character"),
    ({"type": "score_model"}, "input", "this field is required"),
    (SCORE_MODEL | {"input": []}, "input", "at least 1 item"),
    (SCORE_MODEL | {"input": "Grade it."}, "input", "should be a valid list"),
    (SCORE_MODEL | {"input": [{"role": "tool", "content": "a"}]}, "input.0.role", "should be 'system'"),
    (SCORE_MODEL | {"input": [{"role": "user"}]}, "input.0.content", "this field is required"),
    (with_content("{{item.a"), "input.0.content", "never closed"),
    (with_content([{"type": "input_text", "text": "{{a}}"}]), "input.0.content", "has to begin with"),
    (with_content(7), "input.0.content", "should be a text, or parts of text"),
    (with_content([{"type": "input_text"}]), "input.0.content", "should be a text, or parts of text"),
    (
        with_content([{"type": "input_image", "image_url": "x"}]),
        "input.0.content",
        "'input_image' is not supp",
    ),
    (with_content({"type": "input_audio"}), "input.0.content", "judges are asked in text alone"),
    (SCORE_MODEL | {"range": [1, 0]}, "range", "from a lower number to a higher one"),
    (SCORE_MODEL | {"range": [0, 0]}, "range", "from a lower number to a higher one"),
    (SCORE_MODEL | {"range": [0]}, "range", "should be two numbers"),
    (SCORE_MODEL | {"range": [0, "1"]}, "range", "should be two numbers"),
    (SCORE_MODEL | {"range": [False, True]}, "range", "should be two numbers"),
    (SCORE_MODEL | {"range": None}, "range", "should be two numbers"),
    (SCORE_MODEL | {"range": [0, 1e10]}, "range", "within ±1e.09"),
    (SCORE_MODEL | {"sampling_params": {"temp": 1}}, "sampling_params.temp", "there is no such field"),
    (SCORE_MODEL | {"sampling_params": {"top_p": 2}}, "sampling_params.top_p", "less than or equal to 1"),
    (LABEL_MODEL | {"labels": []}, "labels", "at least 1 item"),
    (LABEL_MODEL | {"passing_labels": []}, "passing_labels", "at least 1 item"),
    (LABEL_MODEL | {"passing_labels": ["great"]}, "passing_labels", "'great' is not one of the labels"),
    ({"type": "model_as_judge"}, "instructions", "this field is required"),
    ({"type": "model_as_judge", "instructions": ""}, "instructions", "at least 1 character"),
    ({"type": "model_as_judge", "instructions": "{{x}}"}, "instructions", "has to begin with"),
]


@pytest.mark.parametrize(("grader", "field", "message"), WRONG)
def test_a_definition_that_cannot_work_is_refused_by_its_field(
    client: OpenAI, server: ScriptedServer, grader: Any, field: str, message: str
) -> None:
    for route in ("run", "validate"):
        body = {"grader": grader, **({"model_sample": "a"} if route == "run" else {})}
        with pytest.raises(openai.BadRequestError, match=message) as caught:
            client.post(f"/fine_tuning/alpha/graders/{route}", body=body, cast_to=GraderRunResponse)
        assert caught.value.param == f"grader.{field}"

    assert server.asked == []


def test_a_part_of_a_multi_grader_is_refused_by_its_place(client: OpenAI, server: ScriptedServer) -> None:
    grader: Any = {
        "type": "multi",
        "graders": {"quality": SCORE_MODEL | {"model": "gpt-5"}},
        "calculate_output": "quality",
    }

    with pytest.raises(openai.BadRequestError, match="has no judge 'gpt-5'") as caught:
        client.fine_tuning.alpha.graders.validate(grader=grader)

    assert caught.value.param == "grader.graders.quality.model"


def test_a_deployment_without_judges_has_no_default(client: OpenAI) -> None:
    grader: Any = MODEL_AS_JUDGE

    with pytest.raises(openai.BadRequestError, match=r"no judge 'default' \(it has: none\).*`judges` in cdk"):
        client.fine_tuning.alpha.graders.validate(grader=grader)


def test_a_bedrock_model_needs_no_setting(client: OpenAI) -> None:
    grader: Any = SCORE_MODEL | {"model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}

    validated = client.fine_tuning.alpha.graders.validate(grader=grader).grader

    assert validated is not None


def create(client: OpenAI, grader: Any) -> Any:
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    return client.fine_tuning.jobs.create(model="tiny-caps", training_file=a_file().id, method=method)


def test_a_job_is_made_with_a_judge_that_is_there_and_refused_without(
    client: OpenAI, server: ScriptedServer
) -> None:
    job = create(client, SCORE_MODEL)

    with pytest.raises(openai.BadRequestError, match="has no judge 'gpt-5'") as caught:
        create(client, SCORE_MODEL | {"model": "gpt-5"})

    assert caught.value.param == "method.reinforcement.grader.model"
    assert client.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
    assert server.asked == []
