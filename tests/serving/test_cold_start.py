"""What callers see of an endpoint that sleeps, or is not there yet: a slow answer, and nothing else."""

import asyncio
from dataclasses import replace

import openai
import pytest
from openai import OpenAI

from lambdas.inference import replies
from outcrop.operations import models
from outcrop.serving import streaming
from outcrop.serving.sagemaker import SageMaker
from outcrop.serving.streaming import SILENT_SECONDS
from outcrop.settings import settings
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker
from tests.fakes.sagemaker_things import Seconds
from tests.serving.conftest import BASE, COMPONENT, ENDPOINT, QUICK, MakeTuned, adapter, ask


def test_the_first_request_makes_the_endpoint_and_is_answered_by_the_sdks_own_retries(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    sagemaker.seconds = Seconds(endpoint=200, component=200)
    before = clock.now()

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert SILENT_SECONDS < 400 < clock.now() - before < 500
    assert [sagemaker.calls[f"Create{it}"] for it in ("Model", "Endpoint", "InferenceComponent")] == [1, 1, 1]
    assert sagemaker.policies.keys() == {f"inference-component/{COMPONENT}"}


def test_a_warm_model_answers_at_once_and_with_one_call(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    ask(client)
    sagemaker.calls.clear()

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.calls == {"InvokeEndpointWithResponseStream": 1}


def test_an_idle_model_sleeps_and_is_woken_by_the_next_request(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    ask(client)
    clock.move(3600)
    sagemaker.calls.clear()

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.calls["UpdateInferenceComponentRuntimeConfig"] == 1
    assert not any(call.startswith("Create") for call in sagemaker.calls)


def test_a_request_that_is_not_streamed_is_held_for_less_than_five_minutes_then_told_when_to_ask_again(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    sagemaker.seconds = Seconds()
    before = clock.now()

    with pytest.raises(openai.InternalServerError) as raised:
        ask(client.with_options(max_retries=0))

    assert 240 < clock.now() - before <= SILENT_SECONDS < 300
    assert raised.value.status_code == 503
    assert 0 < int(raised.value.response.headers["retry-after"]) < 60
    assert raised.value.body and "is starting" in str(raised.value.body)


def test_a_stream_is_held_open_with_signs_of_life_until_the_model_answers(
    client: OpenAI, sagemaker: FakeSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "PATIENCE_SECONDS", 0.01)

    stream = client.chat.completions.with_streaming_response.create(
        model=BASE, messages=[{"role": "user", "content": "Who?"}], stream=True
    )
    with stream as reply:
        body = reply.read().decode()

    assert body.startswith(": ping\n\n")
    assert f"{BASE}." in body
    assert body.endswith("data: [DONE]\n\n")


def test_a_stream_that_waited_too_long_says_so_in_the_stream(
    client: OpenAI, sagemaker: FakeSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(streaming, "STREAM_SECONDS", 60)
    sagemaker.seconds = replace(QUICK, component=3600)

    with pytest.raises(openai.APIError, match="is starting"):
        for _ in client.chat.completions.create(
            model=BASE, messages=[{"role": "user", "content": "Who?"}], stream=True
        ):
            pass


def test_fifty_cold_requests_of_fifty_processes_make_one_endpoint_and_one_component(
    sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, clock: FakeClock
) -> None:
    served = models.resolve(a_tuned_model(), "acme")
    request = {"messages": [{"role": "user", "content": "Who?"}]}
    sagemaker.seconds = replace(QUICK, endpoint=5, component=5, adapter=5)
    clock.crowd = 50

    async def ask_one() -> str:
        server = SageMaker(settings(), clock.clock)
        answer = await server.chat(served, request)
        clock.crowd -= 1
        await server.close()
        return answer["choices"][0]["message"]["content"]

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(ask_one() for _ in range(50)))

    answers = asyncio.run(ask_all())

    assert answers == [f"I am {adapter()}."] * 50
    assert sagemaker.calls["CreateEndpoint"] == 1
    assert sagemaker.calls["CreateInferenceComponent"] == 2
    assert sagemaker.calls["DescribeEndpoint"] < 20
    assert sagemaker.endpoints.keys() == {ENDPOINT}


@pytest.mark.parametrize("checkpoint", [False, True])
def test_base_model_tuned_model_and_checkpoint_answer_to_the_same_code(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, checkpoint: bool
) -> None:
    model = a_tuned_model(step=7, checkpoint=checkpoint)

    answers = [ask(client, model), ask(client, BASE)]
    completion = client.completions.create(model=model, prompt="Who?", logprobs=None)

    assert answers == [f"I am {adapter(step=7)}.", f"I am {BASE}."]
    assert completion.choices[0].text == f"I am {adapter(step=7)}."
    assert completion.usage and completion.usage.completion_tokens == 3
    assert sagemaker.components[COMPONENT].current == 1
