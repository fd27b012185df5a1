"""Chat Completions through the unchanged SDK, the inference function and the local inference server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.account import sdk
from tests.inference.conftest import ClientFor, Serve

FRANCE: list[ChatCompletionMessageParam] = [{"role": "user", "content": "capital of france?"}]


def ask(client: OpenAI, model: str = "tiny-caps", **options: Any) -> str | None:
    options = {"messages": FRANCE, "temperature": 0, **options}
    return client.chat.completions.create(model=model, **options).choices[0].message.content


def test_a_base_model_answers_and_its_tokens_are_counted(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny-caps", messages=FRANCE, temperature=0)

    assert answer.choices[0].message.content == "paris"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.prompt_tokens == len("Q:capital of france?\nA:")
    assert answer.usage.completion_tokens == len("paris")
    assert answer._request_id and answer._request_id.startswith("req_")


def test_the_answer_names_the_model_as_it_was_asked_for(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="Tiny-Caps", messages=FRANCE)

    assert answer.model == "Tiny-Caps"


def test_a_tuned_model_and_its_checkpoint_answer_with_their_adapter(client: OpenAI, tuned_model: str) -> None:
    before = ask(client)

    tuned, checkpoint = ask(client, tuned_model), ask(client, f"{tuned_model}:ckpt-step-5")

    assert tuned == checkpoint != before
    assert ask(client) == before


def test_an_adapter_the_server_has_forgotten_is_loaded_again(
    client: OpenAI, tuned_model: str, model_server_url: str
) -> None:
    before = ask(client, tuned_model)
    httpx.post(f"{model_server_url}/unload_lora_adapter", json={"lora_name": tuned_model}).raise_for_status()

    after = ask(client, tuned_model)

    assert after == before


def test_a_model_with_weights_of_its_own_answers_with_them_beside_base_and_adapter(
    client: OpenAI, tuned_model: str, whole_model: str
) -> None:
    before, adapted = ask(client), ask(client, tuned_model)

    whole = ask(client, whole_model)

    assert whole not in (before, adapted)
    assert (ask(client), ask(client, tuned_model), ask(client, whole_model)) == (before, adapted, whole)


def test_the_server_keeps_few_models_with_weights_of_their_own_and_loads_them_again(
    client: OpenAI, whole_model: str, model_server_url: str
) -> None:
    others = [f"{whole_model}:ckpt-step-{step}" for step in (1, 2)]
    before = ask(client, whole_model)

    assert [ask(client, one) for one in others] == [before] * 2
    listed = {one["id"] for one in httpx.get(f"{model_server_url}/models").json()["data"]}

    assert {*others} < listed and whole_model not in listed
    assert ask(client, whole_model) == before


@pytest.mark.parametrize("model", ["gpt-6-astra", "ft:tiny-caps:acme:caps:00000000", "../tiny-caps"])
def test_an_unknown_model_is_a_404(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError, match=f"The model '{model}' does not exist") as error:
        ask(client, model)

    assert (error.value.code, error.value.param) == ("model_not_found", "model")


def test_another_projects_model_is_as_unknown_as_any(
    client: OpenAI, client_for: ClientFor, tuned_model: str
) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist") as error:
        ask(client_for("rival"), tuned_model)

    assert error.value.code == "model_not_found"


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny-caps", messages=FRANCE, temperature=0, stop=["x", "ri"]
    )

    assert answer.choices[0].message.content == "pa"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.completion_tokens == len("pari")


@pytest.mark.parametrize("limit", [{"max_tokens": 3}, {"max_completion_tokens": 3, "max_tokens": 9}])
def test_an_answer_ends_at_its_token_limit(client: OpenAI, limit: dict[str, int]) -> None:
    answer = client.chat.completions.create(model="tiny-caps", messages=FRANCE, temperature=0, **limit)  # pyright: ignore

    assert answer.choices[0].message.content == "par"
    assert answer.choices[0].finish_reason == "length"


def test_a_seed_gives_the_same_choices_again_and_they_differ_among_themselves(client: OpenAI) -> None:
    def sample(seed: int) -> list[str | None]:
        answer = client.chat.completions.create(
            model="tiny-caps", messages=FRANCE, n=8, seed=seed, temperature=1.5
        )
        assert answer.usage and answer.usage.prompt_tokens == len("Q:capital of france?\nA:")
        return [choice.message.content for choice in answer.choices]

    first, again, other = sample(7), sample(7), sample(8)

    assert first == again != other
    assert len(set(first)) > 1


def test_a_question_is_answered_alike_alone_and_among_many(client: OpenAI) -> None:
    lands = ("france", "italy", "japan", "peru", "norway", "chile")
    messages = [[{"role": "user", "content": f"capital of {land}?"}] for land in lands]
    alone = [ask(client, messages=one) for one in messages]

    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda one: ask(client, messages=one), messages * 4))

    assert together == alone * 4


def test_a_stream_comes_in_openais_order(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="tiny-caps",
            messages=FRANCE,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    first, *texts, end, usage = chunks
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert [chunk.choices[0].delta.content for chunk in texts] == list("paris")
    assert all(chunk.choices[0].finish_reason is None and chunk.usage is None for chunk in texts)
    assert (end.choices[0].delta.content, end.choices[0].finish_reason) == (None, "stop")
    assert usage.choices == [] and usage.usage and usage.usage.completion_tokens == 5
    assert {(chunk.id, chunk.model) for chunk in chunks} == {(first.id, "tiny-caps")}


def test_the_sdks_stream_helper_and_a_stored_stream_agree(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="tiny-caps", messages=FRANCE, temperature=0, store=True
    ) as stream:
        heard = stream.get_final_completion()

    stored = sdk("acme").chat.completions.retrieve(heard.id)
    assert stored.choices[0].message.content == heard.choices[0].message.content == "paris"
    assert stored.usage and stored.usage.completion_tokens == 5


def test_an_answer_follows_the_callers_schema(client: OpenAI) -> None:
    class City(BaseModel):
        size: Literal["small", "large"]

    answer = client.chat.completions.parse(
        model="tiny-caps", messages=FRANCE, temperature=0, response_format=City
    )

    assert answer.choices[0].message.parsed and answer.choices[0].message.parsed.size in ("small", "large")


def test_a_stream_without_options_has_no_usage_and_ends_with_done(client: OpenAI) -> None:
    ask_raw = client.chat.completions.with_streaming_response.create

    with ask_raw(model="tiny-caps", messages=FRANCE, stream=True) as reply:
        body = reply.read().decode()

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-request-id"].startswith("req_")
    assert body.endswith("data: [DONE]\n\n")
    assert "usage" not in body


def test_streamed_choices_add_up_to_the_whole_ones(client: OpenAI, tuned_model: str) -> None:
    options: dict[str, Any] = {
        "model": tuned_model,
        "messages": FRANCE,
        "n": 3,
        "seed": 1,
        "stop": ["e", "ab"],
    }
    whole = client.chat.completions.create(**options)
    texts, ends = ["", "", ""], ["", "", ""]

    for chunk in client.chat.completions.create(**options, stream=True):
        choice = chunk.choices[0]
        texts[choice.index] += choice.delta.content or ""
        ends[choice.index] += choice.finish_reason or ""

    assert texts == [choice.message.content for choice in whole.choices]
    assert ends == [choice.finish_reason for choice in whole.choices]


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_does_not_fit_is_a_400(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens") as error:
        client.chat.completions.create(
            model="tiny-caps", messages=[{"role": "user", "content": "x" * 300}], stream=stream
        )

    assert (error.value.code, error.value.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"stop": [""]}, "stop.0"),
        ({"stop": list("abcde")}, "stop"),
        ({"seed": "1"}, "seed"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_wrong_field_is_a_400_that_names_it(client: OpenAI, options: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError, match=param) as error:
        ask(client, **options)

    assert error.value.param == param
    assert error.value.type == "invalid_request_error"


def test_fields_that_ask_for_nothing_are_ignored(client: OpenAI) -> None:
    parts: list[Any] = [{"type": "text", "text": "capital of "}, {"type": "text", "text": "france?"}]

    answer = ask(
        client,
        messages=[{"role": "user", "content": parts, "name": "me"}],
        user="me",
        metadata={"a": "b"},
        tools=[],
        response_format={"type": "text"},
        presence_penalty=0,
        logprobs=False,
        store=False,
        stream=False,
        extra_body={"unheard_of": 1},
    )

    assert answer == "paris"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": NaN}', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_400(function_url: str, body: bytes) -> None:
    context = '{"authorizer": {"project_id": "acme", "key_id": "key_1", "scopes": "inference"}}'
    headers = {"x-amzn-request-context": context}

    reply = httpx.post(f"{function_url}/chat/completions", content=body, headers=headers)

    assert reply.status_code == 400
    assert "JSON" in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions", "/openai/v1/chat/completions"])
def test_without_the_authorizers_word_nobody_is_served(function_url: str, path: str) -> None:
    reply = httpx.post(f"{function_url}{path}", json={"model": "tiny-caps", "messages": FRANCE})

    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405)]
)
def test_what_is_not_there_is_said_in_the_envelope(
    function_url: str, method: str, path: str, status: int
) -> None:
    reply = httpx.request(method, function_url + path)

    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"].startswith("req_")


def test_without_a_model_server_the_answer_says_what_to_set(client_for: ClientFor, served_by: Serve) -> None:
    served_by("")

    with pytest.raises(openai.InternalServerError, match="Set `serving_url`") as error:
        ask(client_for("acme"))

    assert error.value.status_code == 503


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_server_out_of_reach_is_worth_another_try(
    client_for: ClientFor, served_by: Serve, stream: bool
) -> None:
    served_by("http://127.0.0.1:9")

    with pytest.raises(openai.InternalServerError, match="cannot be reached") as error:
        client_for("acme").chat.completions.create(model="tiny-caps", messages=FRANCE, stream=stream)

    assert error.value.status_code == 503
    assert error.value.response.headers["retry-after"] == "2"
