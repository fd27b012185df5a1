"""What a caller may ask of chat completions, what the model server is asked then, and what is refused."""

import time
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from outcrop.stores.clients import dynamodb_table
from tests.inference.conftest import ClientFor
from tests.inference.scripted_server import ScriptedServer, chunk, streamed, whole

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED: list[Any] = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
ANSWERED: list[Any] = [*CALLED, {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]


def tool(name: str) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, "strict": True}}


@pytest.fixture
def client(client_for: ClientFor) -> OpenAI:
    return client_for("acme")


def ask(client: OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "tiny-caps", "messages": HELLO, **options})


def test_what_changes_the_answer_reaches_the_server_as_it_is(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    scripted.replies = [whole()]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    options: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": -2,
        "frequency_penalty": 2,
        "logit_bias": {"5": -100},
        "max_completion_tokens": 7,
        "n": 3,
        "seed": 1,
        "logprobs": True,
        "top_logprobs": 20,
        "tools": [tool("weather")],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        "reasoning_effort": "low",
    }

    ask(client, messages=ANSWERED, stop="x", **options)

    assert scripted.request == options | {
        "model": "tiny-caps",
        "messages": [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, ANSWERED[-1]],
        "stop": ["x"],
        "stream": False,
    }


def test_advice_and_bookkeeping_stay_here(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [whole()]

    ask(
        client,
        user="me",
        safety_identifier="me",
        service_tier="auto",
        verbosity="low",
        prediction={"type": "content", "content": "x"},
        prompt_cache_key="x",
        metadata={"a": "b"},
        modalities=["text"],
        store=False,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
        stop=None,
        extra_body={"unheard_of": 1, "hyperparameters": {}},
    )

    assert scripted.request == {"model": "tiny-caps", "messages": HELLO, "stream": False}


def test_servers_are_spoken_to_in_words_they_know(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [whole()]

    ask(
        client,
        messages=[{"role": "developer", "content": "be kind"}, *HELLO],
        reasoning_effort="minimal",
        top_p=0,
    )

    assert scripted.request["messages"][0] == {"role": "system", "content": "be kind"}
    assert (scripted.request["reasoning_effort"], scripted.request["top_p"]) == ("low", 1e-9)


def test_tools_that_are_not_allowed_are_not_shown(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [whole()]
    allowed: Any = {"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]}

    ask(
        client,
        tools=[tool("a"), tool("b")],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    )

    assert (scripted.request["tools"], scripted.request["tool_choice"]) == ([tool("b")], "required")


def test_functions_are_asked_for_as_tools_and_answered_as_functions(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    said = {"content": None, "tool_calls": [CALL, CALL | {"id": "call_2"}]}
    first = CALL | {"index": 0, "function": {"name": "weather", "arguments": "{}"}}
    scripted.replies = [
        whole(said, finish_reason="tool_calls"),
        streamed(
            chunk({"tool_calls": [first]}),
            chunk({"tool_calls": [first | {"index": 1, "id": "x"}]}, "stop"),
            "[DONE]",
        ),
    ]
    options: dict[str, Any] = {
        "messages": [
            *HELLO,
            {"role": "assistant", "content": None, "function_call": CALL["function"]},
            {"role": "function", "name": "weather", "content": "rain"},
        ],
        "functions": [{"name": "weather", "parameters": {"type": "object"}}],
        "function_call": {"name": "weather"},
    }

    answer = ask(client, **options)
    chunks = list(ask(client, **options, stream=True))

    assert [message["role"] for message in scripted.request["messages"]] == ["user", "assistant", "tool"]
    called = scripted.request["messages"][1]["tool_calls"][0]
    assert called["id"] == scripted.request["messages"][2]["tool_call_id"]
    assert scripted.request["tools"][0]["function"]["name"] == "weather"
    assert scripted.request["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert scripted.request["parallel_tool_calls"] is False
    message = answer.choices[0].message
    assert (answer.choices[0].finish_reason, message.tool_calls) == ("function_call", None)
    assert (message.function_call.name, message.function_call.arguments) == ("weather", "{}")
    calls = [one.choices[0].delta.function_call for one in chunks if one.choices[0].delta.function_call]
    assert [(call.name, call.arguments) for call in calls] == [("weather", ""), (None, "{}")]
    assert chunks[-1].choices[0].finish_reason == "function_call"


def test_the_sdk_parses_an_answer_into_the_callers_model(scripted: ScriptedServer, client: OpenAI) -> None:
    class City(BaseModel):
        name: str

    scripted.replies = [whole({"content": '{"name": "Oslo"}'})]

    answer = client.chat.completions.parse(model="tiny-caps", messages=HELLO, response_format=City)

    assert answer.choices[0].message.parsed == City(name="Oslo")
    assert scripted.request["response_format"]["json_schema"]["schema"]["required"] == ["name"]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}, "messages.0.tool_call_id"),
        ({"messages": [*CALLED, {"role": "tool", "content": "x"}]}, "messages.2.tool_call_id"),
        ({"messages": [*CALLED, ANSWERED[-1] | {"tool_call_id": "b"}]}, "messages.2.tool_call_id"),
        ({"messages": CALLED}, "messages.1.tool_calls"),
        ({"messages": [*CALLED, *HELLO]}, "messages.1.tool_calls"),
        ({"messages": [HELLO[0] | {"tool_calls": [CALL]}]}, "messages.0.tool_calls"),
        ({"messages": [*HELLO, {"role": "assistant"}]}, "messages.1.content"),
        ({"messages": [*HELLO, {"role": "assistant", "content": None}]}, "messages.1.content"),
        ({"messages": [*HELLO, {"role": "assistant", "audio": {"id": "a"}}]}, "messages.1.audio"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages.0.name"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0.name"),
        (
            {"messages": [*HELLO, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}]},
            "messages.1.tool_calls.0.function",
        ),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [tool("no spaces")]}, "tools.0.function.name"),
        ({"tools": [tool(f"t{number}") for number in range(129)]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        (
            {"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "b"}}},
            "tool_choice",
        ),
        ({"tools": [tool("a")], "functions": [{"name": "b"}]}, "functions"),
        ({"functions": [{"name": "b"}], "function_call": {"name": "c"}}, "function_call"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"a": 1}}, "logit_bias.a"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"n": 129}, "n"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
        ),
        ({"metadata": {str(key): "x" for key in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "ash", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "omni"}}, "moderation"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_400_that_names_the_field(
    scripted: ScriptedServer, client: OpenAI, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=param) as raised:
        ask(client, **options)

    assert (raised.value.param, raised.value.type) == (param, "invalid_request_error")
    assert scripted.asked == []


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"model": "tiny-caps", "messages": ' + b"[" * 500 + b"]" * 500 + b"}", 400, "levels deep"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (b'{"model": "tiny-caps", "messages": "\\ud800"}', 400, "not valid JSON"),
        (b'{"model": "a", "model": 5, "messages": []}', 400, "model: should be a valid string"),
        (b'{"seed": 1e400}', 400, "not valid JSON"),
        (b'{"model": "\x00", "messages": [{"role": "user", "content": "x"}]}', 400, "not valid JSON"),
        (b'"' + b"x" * (6 * 2**20) + b'"', 413, "larger than 6 MiB"),
    ],
)
def test_hostile_bodies_get_an_error_of_their_own(
    function_url: str, body: bytes, status: int, message: str
) -> None:
    context = '{"authorizer": {"project_id": "acme", "key_id": "key_1", "scopes": "inference"}}'

    reply = httpx.post(
        f"{function_url}/v1/chat/completions", content=body, headers={"x-amzn-request-context": context}
    )

    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(function_url: str, method: str) -> None:
    reply = httpx.request(method, f"{function_url}/v1/chat/completions")

    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "/v1/completions/", "/v1/responses/", "/responses/x/"]
)
def test_a_trailing_slash_makes_another_url_which_is_unknown(function_url: str, path: str) -> None:
    reply = httpx.post(function_url + path, json={})

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "unknown_url"


def test_a_crash_is_answered_and_logged_without_the_callers_words(
    scripted: ScriptedServer, client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.replies = [whole({"content": "very secret answer"})]
    dynamodb_table().delete()

    with pytest.raises(openai.InternalServerError, match="The server had an error") as raised:
        ask(client, messages=[{"role": "user", "content": "very secret question"}], store=True)

    for _ in range(1000):  # the answer comes first
        if caplog.records:
            break
        time.sleep(0.01)
    assert raised.value.response.headers["x-request-id"]
    assert "request failed: ResourceNotFoundException" in caplog.text
    assert "very secret" not in caplog.text
