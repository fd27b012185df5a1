"""How long things stay on SageMaker: adapters until others need their place, endpoints until nobody uses
them, and what was begun does not stay half made."""

import asyncio
from dataclasses import replace

import openai
import pytest
from openai import OpenAI

from outcrop import base_models, s3_keys
from outcrop.operations import models, training_end
from outcrop.serving import server, tuned_models
from outcrop.serving.sagemaker_tending import UNUSED_SECONDS, tend
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.model import ServedModel
from tests import factories
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker, Fault
from tests.serving.conftest import BASE, COMPONENT, ENDPOINT, MakeTuned, adapter, ask, configure, manifest_key

MINUTE = 60
CALL = Call("acme", key_id="key_1", path="/models", fingerprint="")
SETTLED = 10 * MINUTE
"""Seconds in which whatever was begun is over."""


@pytest.fixture
def room_for_two(sagemaker: FakeSageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, OUTCROP_MAX_ADAPTERS="2")


def a_trained_job() -> FineTuningJob:
    """That has left its result, and is still running."""
    job = factories.a_job(status="running", model=BASE)
    key = s3_keys.adapter("acme", job.id, 5)
    result = TrainingResult(step=5, adapter_key=key, trained_tokens=1, metrics={})
    ObjectStore().put(s3_keys.result("acme", job.id, job.attempt), result.model_dump_json().encode())
    ObjectStore().put(s3_keys.adapter_archive(key), b"a tar.gz")
    return job


async def ask_and_leave(sagemaker: FakeSageMaker, model: ServedModel) -> None:
    """Leave when the endpoint is being made."""
    sagemaker.clock.crowd = 2  # so that time stands still
    async with server.own_model_server() as own:
        asking = asyncio.create_task(own.chat(model, {"messages": [{"role": "user", "content": "Who?"}]}))
        while not sagemaker.endpoints:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.wait({asking})


def tend_for(sagemaker: FakeSageMaker, seconds: float) -> None:
    for _ in range(int(seconds / (5 * MINUTE))):
        sagemaker.clock.move(5 * MINUTE)
        tend(int(sagemaker.clock.now()))


@pytest.mark.usefixtures("room_for_two")
def test_the_least_recently_used_adapter_makes_room_and_comes_back(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, clock: FakeClock
) -> None:
    first, second, third = (a_tuned_model(f"ftjob-{number}") for number in range(3))
    for model in (first, second, first):
        ask(client, model)
        clock.move(14 * MINUTE)
    clock.move(2 * MINUTE)

    answers = [ask(client, third)]
    clock.move(30)
    held = sagemaker.alive - {COMPONENT}
    clock.move(16 * MINUTE)
    answers.append(ask(client, second))

    assert answers == [f"I am {adapter('ftjob-2')}.", f"I am {adapter('ftjob-1')}."]
    assert held == {adapter("ftjob-0"), adapter("ftjob-2")}


@pytest.mark.usefixtures("room_for_two")
def test_an_adapter_in_use_is_never_sent_away(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, clock: FakeClock
) -> None:
    first, second, third = (a_tuned_model(f"ftjob-{number}") for number in range(3))
    for model in (first, second):
        ask(client, model)

    with pytest.raises(openai.InternalServerError, match="holds 2 tuned models, and all were used"):
        ask(client.with_options(max_retries=0), third)

    assert sagemaker.alive == {COMPONENT, adapter("ftjob-0"), adapter("ftjob-1")}
    clock.move(16 * MINUTE)
    assert ask(client, third) == f"I am {adapter('ftjob-2')}."


def test_a_model_and_a_checkpoint_with_the_same_adapter_share_it(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    both = [a_tuned_model(), a_tuned_model(checkpoint=True)]

    answers = [ask(client, model) for model in both]

    assert answers == [f"I am {adapter()}."] * 2
    assert sagemaker.alive == {COMPONENT, adapter()}


def test_a_model_that_is_deleted_leaves_its_endpoint(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, clock: FakeClock
) -> None:
    model = a_tuned_model()
    ask(client, model)

    models.delete(model, CALL)

    clock.move(SETTLED)
    with pytest.raises(openai.NotFoundError):
        ask(client, model)
    assert sagemaker.alive == {COMPONENT}


def test_a_model_can_be_deleted_while_sagemaker_does_not_answer(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    model = a_tuned_model()
    ask(client, model)
    sagemaker.faults = [Fault("DeleteInferenceComponent", "error")]

    models.delete(model, CALL)

    with pytest.raises(openai.NotFoundError):
        ask(client, model)


def test_a_model_is_loaded_when_its_job_succeeds_if_its_endpoint_is_awake(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    ask(client)
    job = a_trained_job()

    succeeded = training_end.register_model("acme", job.id, job.attempt)

    clock.move(SETTLED)
    assert sagemaker.alive == {COMPONENT, adapter(job.id)}
    sagemaker.calls.clear()
    assert ask(client, succeeded.fine_tuned_model or "") == f"I am {adapter(job.id)}."
    assert sagemaker.calls == {"InvokeEndpointWithResponseStream": 1}


def test_nothing_is_woken_for_a_model_that_nobody_has_asked_for(
    sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    tuned_models.made(models.resolve(a_tuned_model(), "acme"))

    assert sagemaker.calls.keys() == {"DescribeInferenceComponent"}


def test_changed_settings_take_effect_when_the_endpoint_sleeps(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client)
    configure(monkeypatch, OUTCROP_SERVING_INSTANCES='{"qwen.qwen3-32b": ["ml.g6e.12xlarge"]}')
    ask(client)
    before = sagemaker.endpoints[ENDPOINT].types
    clock.move(3600)

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert (before[0], sagemaker.endpoints[ENDPOINT].types) == ("ml.g7e.2xlarge", ["ml.g6e.12xlarge"])
    (model,) = sagemaker.models.values()  # what the endpoint before was made of is gone
    assert model["PrimaryContainer"]["Environment"]["SM_VLLM_TENSOR_PARALLEL_SIZE"] == "4"


def test_another_revision_is_served_when_it_is_there_and_the_endpoint_sleeps(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def served() -> str:
        (model,) = sagemaker.models.values()
        return model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"]

    ask(client)
    before = served()
    model = base_models.find(BASE)
    assert model
    monkeypatch.setattr(base_models, "CATALOGUE", (replace(model, revision="f" * 40),))
    clock.move(3600)
    ask(client)
    meanwhile = served()
    ObjectStore().put(manifest_key(), b"{}")
    clock.move(3600)

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert before == meanwhile == f"s3://outcrop-bucket/models/{BASE}/{model.revision}/"
    assert served() == f"s3://outcrop-bucket/models/{BASE}/{'f' * 40}/"


def test_a_cold_start_whose_caller_has_left_does_not_cost_for_ever(sagemaker: FakeSageMaker) -> None:
    asyncio.run(ask_and_leave(sagemaker, ServedModel(id=BASE, base_model=BASE)))
    is_costing_without = sagemaker.is_costing

    tend_for(sagemaker, 3600)

    assert is_costing_without
    assert not sagemaker.is_costing
    assert sagemaker.components[COMPONENT].current == 0


def test_scaling_that_could_not_be_set_up_is_set_up_later(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    sagemaker.faults = [Fault("RegisterScalableTarget", "error", times=1000)]
    ask(client)
    is_costing_without = sagemaker.is_costing
    sagemaker.faults = []

    tend_for(sagemaker, SETTLED)

    assert is_costing_without
    assert not sagemaker.is_costing


def test_an_endpoint_that_nobody_has_used_for_a_week_is_removed_with_all_on_it_and_made_anew(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, clock: FakeClock
) -> None:
    model = a_tuned_model()
    ask(client, model)
    clock.move(UNUSED_SECONDS - SETTLED)
    tend(int(clock.now()))
    kept = {*sagemaker.endpoints, *sagemaker.components}

    tend_for(sagemaker, 4 * SETTLED)

    left = [*sagemaker.endpoints, *sagemaker.components, *sagemaker.configs, *sagemaker.models]
    assert kept == {ENDPOINT, COMPONENT, adapter()}
    assert left == []
    assert not sagemaker.targets
    assert tend(int(clock.now())) == []
    assert ask(client, model) == f"I am {adapter()}."


def test_nothing_is_made_or_woken_by_tending(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    ask(client)
    clock.move(3600)
    sagemaker.calls.clear()

    (seen,) = tend(int(clock.now()))

    assert seen.state == "asleep"
    assert sagemaker.calls.keys() <= {"DescribeEndpoint", "DescribeInferenceComponent"}
