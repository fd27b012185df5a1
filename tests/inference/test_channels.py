"""GPT-OSS on the local inference server: what comes out of its channels, and forms of answers."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from local.adapters import Adapters
from local.inference_api import inference_api
from local.inference_batches import Batches
from tests import tiny_architectures
from tests.inference.conftest import running_app
from tests.inference.scripted_model import ScriptedModels
from tests.inference.test_tools import ASK, CITY, TIME, WEATHER, calls_of

THOUGHT = "<|channel|>analysis<|message|>Does it rain?<|end|><|start|>assistant"
FORM: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {
            "type": "object",
            "properties": {"city": CITY},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ScriptedModels:
    folder = tmp_path_factory.mktemp("models")
    tiny_architectures.build("gpt-oss", folder / "tiny-gpt-oss")
    return ScriptedModels(folder)


@pytest.fixture(scope="module")
def gpt_oss(models: ScriptedModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    batches = Batches(models.generate)
    threading.Thread(target=batches.work, daemon=True).start()
    with running_app(inference_api(models, Adapters(tmp_path_factory.mktemp("none")), batches)) as url:
        yield OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, _strict_response_validation=True)


def ask(client: OpenAI, **wanted: Any) -> Any:
    return client.chat.completions.create(model="tiny-gpt-oss", messages=ASK, **wanted)


def test_the_final_channel_is_the_answer_and_the_analysis_its_reasoning(
    gpt_oss: OpenAI, models: ScriptedModels
) -> None:
    models.script = THOUGHT + '<|channel|>final <|constrain|>json<|message|>{"city": "oslo"}'

    answer = ask(gpt_oss, response_format=FORM, logprobs=True)
    streamed = [chunk.choices[0].delta for chunk in ask(gpt_oss, response_format=FORM, stream=True)]

    [choice] = answer.choices
    assert json.loads(choice.message.content) == {"city": "oslo"}
    assert choice.message.reasoning_content == "Does it rain?"
    assert choice.finish_reason == "stop"
    assert "".join(one.token for one in choice.logprobs.content) == choice.message.content
    assert 0 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens
    assert "".join(delta.content or "" for delta in streamed) == choice.message.content


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_call_is_taken_out_of_its_channel(gpt_oss: OpenAI, models: ScriptedModels, choice: Any) -> None:
    models.script = (
        THOUGHT + '<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"city":"rome"}'
    )

    [answer] = ask(gpt_oss, tools=[WEATHER, TIME], tool_choice=choice, response_format=FORM).choices

    assert calls_of(answer.message) == [("get_time", {"city": "rome"})]
    assert answer.message.content in (None, "") and answer.finish_reason == "tool_calls"


def test_a_model_that_speaks_for_itself_keeps_to_the_form(gpt_oss: OpenAI, models: ScriptedModels) -> None:
    models.script = None
    [end] = models.base("tiny-gpt-oss").encode("<|end|>", whole=False)

    choices = ask(
        gpt_oss, response_format=FORM, n=8, seed=1, max_tokens=150, logit_bias={str(end): 8}
    ).choices

    ended = [choice for choice in choices if choice.finish_reason == "stop"]
    assert ended
    for choice in ended:
        assert json.loads(choice.message.content)["city"] in ("rome", "paris", "oslo")
