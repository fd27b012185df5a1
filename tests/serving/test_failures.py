"""What becomes of requests when SageMaker refuses, fails, loses replies or has no machines: an answer in
OpenAI's envelope that says why, nothing made twice, nothing left that costs, a next request that works."""

import openai
import pytest
from openai import OpenAI

from outcrop.serving.sagemaker_tending import tend
from outcrop.stores.objects import ObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker, Fault
from tests.fakes.sagemaker_things import Refused
from tests.fakes.vllm_answers import events, says_its_name
from tests.serving.conftest import BASE, COMPONENT, ENDPOINT, MakeTuned, adapter, ask, manifest_key

TYPES = ("ml.g7e.2xlarge", "ml.g7e.4xlarge", "ml.g7e.8xlarge")


def test_where_the_preferred_machine_is_not_to_be_had_the_next_one_is_taken(
    client: OpenAI, sagemaker: FakeSageMaker
) -> None:
    sagemaker.no_capacity = set(TYPES[:1])

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.endpoints[ENDPOINT].types == [*TYPES[1:]]


def test_machines_without_quota_are_left_out(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    sagemaker.no_quota = {TYPES[0], TYPES[2]}

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.endpoints[ENDPOINT].types == [TYPES[1]]


def test_without_any_quota_the_answer_names_it_and_is_not_repeated(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    sagemaker.no_quota = set(TYPES)

    with pytest.raises(openai.InternalServerError, match=f"'{TYPES[2]} for endpoint usage' is 0") as raised:
        ask(client)

    assert raised.value.status_code == 503
    assert sagemaker.calls["CreateEndpoint"] == len(TYPES)  # with fewer of them each time, and once
    assert not sagemaker.endpoints
    sagemaker.no_quota = set()
    assert ask(client) == f"I am {BASE}."


def test_an_endpoint_without_any_machine_says_so_is_removed_and_made_anew(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    sagemaker.no_capacity = set(TYPES)

    with pytest.raises(openai.InternalServerError, match="InsufficientInstanceCapacity"):
        ask(client.with_options(max_retries=0))

    clock.move(60)
    assert not sagemaker.is_costing
    sagemaker.no_capacity = set()
    assert ask(client) == f"I am {BASE}."


def test_the_sdk_by_itself_asks_again_until_there_is_a_machine(
    client: OpenAI, sagemaker: FakeSageMaker
) -> None:
    sagemaker.no_capacity = set(TYPES)
    sagemaker.when("DeleteEndpoint", lambda: sagemaker.no_capacity.clear())

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.calls["CreateEndpoint"] == 2


def test_a_container_that_does_not_start_is_not_tried_again_unasked(
    client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock
) -> None:
    sagemaker.container_fails = "The primary container did not pass the ping health check."

    with pytest.raises(openai.InternalServerError, match="did not pass the ping health check"):
        ask(client)

    assert sagemaker.calls["CreateEndpoint"] == 1
    clock.move(60)
    assert not sagemaker.is_costing
    sagemaker.container_fails = ""
    assert ask(client) == f"I am {BASE}."


def test_an_adapter_that_cannot_be_loaded_says_why_and_is_loaded_when_it_can_be(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    model = a_tuned_model(stored=False)

    with pytest.raises(openai.InternalServerError, match=r"step-000005\.tar\.gz: it does not exist"):
        ask(client, model)

    assert ask(client) == f"I am {BASE}."
    a_tuned_model()
    assert ask(client, model) == f"I am {adapter()}."


def test_weights_that_are_not_there_are_asked_for_and_nothing_is_started(
    client: OpenAI, sagemaker: FakeSageMaker
) -> None:
    ObjectStore().delete(manifest_key())

    with pytest.raises(openai.InternalServerError, match=f"outcrop models sync {BASE}"):
        ask(client.with_options(max_retries=0))

    assert not any(call.startswith("Create") for call in sagemaker.calls)


def test_a_model_that_sagemaker_cannot_serve_says_so(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    with pytest.raises(openai.InternalServerError, match="cannot be served on SageMaker"):
        ask(client, "tiny-caps")

    assert not sagemaker.calls


@pytest.mark.parametrize(
    "operation",
    [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "CreateInferenceComponent",
        "DescribeEndpoint",
        "DescribeInferenceComponent",
        "PutScalingPolicy",
        "RegisterScalableTarget",
        "InvokeEndpointWithResponseStream",
    ],
)
def test_a_call_may_be_throttled_fail_and_lose_its_reply_and_nothing_is_made_twice(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned, operation: str
) -> None:
    model = a_tuned_model()
    sagemaker.faults = [Fault(operation, kind) for kind in ("throttle", "error", "lost")]

    answer = ask(client.with_options(max_retries=3), model)

    assert answer == f"I am {adapter()}."
    assert sum(fault.times for fault in sagemaker.faults) == 0
    sagemaker.clock.move(60)
    tend(int(sagemaker.clock.now()))  # does what could not be done meanwhile
    assert sagemaker.endpoints.keys() == {ENDPOINT}
    assert sagemaker.components.keys() == {COMPONENT, adapter()}
    assert sagemaker.policies.keys() == {f"inference-component/{COMPONENT}"}
    assert not sagemaker.is_costing


def test_the_same_holds_while_waking(client: OpenAI, sagemaker: FakeSageMaker, clock: FakeClock) -> None:
    ask(client)
    clock.move(3600)
    waking = "UpdateInferenceComponentRuntimeConfig"
    sagemaker.faults = [Fault(waking, kind) for kind in ("throttle", "error", "lost")]

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert sagemaker.components[COMPONENT].desired == 1


def test_vllms_words_about_a_bad_request_reach_the_caller(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    ask(client)
    body = (
        '{"error": {"message": "maximum context length is 8 tokens", "type": "BadRequestError", "code": 400}}'
    )
    refused = Refused(
        "ModelError", "Received client error", 424, OriginalStatusCode=400, OriginalMessage=body
    )
    sagemaker.refuse_next_question = refused

    with pytest.raises(openai.BadRequestError, match="maximum context length") as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("messages", "context_length_exceeded")


def test_a_container_that_fails_is_asked_again(client: OpenAI, sagemaker: FakeSageMaker) -> None:
    ask(client)
    sagemaker.refuse_next_question = Refused(
        "ModelError",
        "Received server error",
        424,
        OriginalStatusCode=500,
        OriginalMessage="CUDA out of memory",
    )

    answer = ask(client)

    assert answer == f"I am {BASE}."


def test_an_answer_that_breaks_off_is_an_error_and_asked_for_again(
    client: OpenAI, sagemaker: FakeSageMaker
) -> None:
    ask(client)
    piece = {"model": BASE, "choices": [{"index": 0, "delta": {"content": "I"}, "finish_reason": None}]}
    broken = [[*events(piece), {"broken": "ModelStreamError"}]]
    sagemaker.says = lambda speaker, body: broken.pop() if broken else says_its_name(speaker, body)

    answer = ask(client)

    assert answer == f"I am {BASE}."
    assert all(one.closed for one in sagemaker.answers)


def test_a_container_that_overlooks_adapters_does_not_pass_for_the_tuned_model(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    sagemaker.obeys_adapters = False

    with pytest.raises(
        openai.InternalServerError, match="answered with the base model in place of the tuned one"
    ):
        ask(client, a_tuned_model())


def test_an_adapter_that_the_container_has_lost_is_loaded_again(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    model = a_tuned_model()
    ask(client, model)
    sagemaker.refuse_next_question = Refused(
        "ModelError",
        "Received client error",
        424,
        OriginalStatusCode=404,
        OriginalMessage='{"detail":"Not Found"}',
    )

    answer = ask(client, model)

    assert answer == f"I am {adapter()}."
    assert sagemaker.calls["CreateInferenceComponent"] == 3


def test_an_endpoint_that_others_have_deleted_is_made_anew_and_what_it_left_removed(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    model = a_tuned_model()
    ask(client, model)
    del sagemaker.endpoints[ENDPOINT]  # its components stay

    answer = ask(client, model)

    assert answer == f"I am {adapter()}."
    assert sagemaker.calls["CreateEndpoint"] == 2


def test_components_that_others_have_deleted_are_made_anew(
    client: OpenAI, sagemaker: FakeSageMaker, a_tuned_model: MakeTuned
) -> None:
    model = a_tuned_model()
    ask(client, model)
    sagemaker.components.clear()

    answer = ask(client, model)

    assert answer == f"I am {adapter()}."
    assert sagemaker.calls["CreateEndpoint"] == 1
