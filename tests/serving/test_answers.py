"""What a container is asked, and what its streamed answers add up to; without a caller who waits, too."""

import asyncio

import openai
import pytest
from openai import OpenAI

from outcrop import s3_keys
from outcrop.operations import response_background
from outcrop.stores.models import ModelStore
from outcrop.stores.responses import ResponseStore
from outcrop.types.model import TunedModel
from tests.fakes.sagemaker_serving import FakeSageMaker
from tests.serving.conftest import BASE, MakeTuned, adapter


def test_a_background_response_wakes_the_model(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    queued = client.responses.create(model=a_tuned_model(), input="Who?", background=True)

    asyncio.run(response_background.run(queued.id, "acme", seconds=800))

    stored = ResponseStore("acme").get(queued.id)
    assert stored.status == "completed"
    assert client.responses.retrieve(queued.id).output_text == f"I am {adapter()}."


def test_a_container_is_asked_in_its_own_words(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    client.chat.completions.create(
        model=BASE,
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
        n=2,
        top_p=0,
        reasoning_effort="minimal",
    )

    component, asked = sagemaker.asked[-1]
    assert component == "outcrop-qwen-qwen3-32b-base"
    assert "model" not in asked
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert (asked["n"], asked["top_p"], asked["reasoning_effort"]) == (2, 1e-9, "low")
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})


def test_a_model_with_weights_of_its_own_is_refused_and_never_answered_by_its_base_model(
    client: OpenAI, sagemaker: FakeSageMaker
) -> None:
    own = TunedModel(
        id=f"ft:{BASE}:acme::own",
        created=1,
        base_model=BASE,
        weights_key=s3_keys.weights("acme", "ftjob-1", 5),
        job_id="ftjob-1",
        kind="model",
    )
    ModelStore("acme").put(own)

    with pytest.raises(openai.BadRequestError, match="`serving` is sagemaker") as raised:
        client.chat.completions.create(model=own.id, messages=[{"role": "user", "content": "Who?"}])

    assert raised.value.code == "model_not_served"
    assert not sagemaker.asked


def test_each_of_several_choices_is_whole(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    answer = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "Who?"}], n=2)
    completion = client.completions.create(model=BASE, prompt="Who?", n=2)

    assert [choice.message.content for choice in answer.choices] == [f"I am {BASE}."] * 2
    assert [choice.text for choice in completion.choices] == [f"I am {BASE}."] * 2
    assert [choice.finish_reason for choice in answer.choices] == ["stop"] * 2
