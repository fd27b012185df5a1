"""What reaches the SDK when the model server behaves as vLLM, or badly: a scripted server in its place."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import openai
import orjson
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from starlette.responses import JSONResponse, Response, StreamingResponse

from lambdas.inference import replies
from outcrop.stores.models import ModelStore
from tests.inference.conftest import ADAPTER_KEY, ClientFor
from tests.inference.scripted_server import ScriptedServer, chunk, error, streamed, whole

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(client_for: ClientFor) -> OpenAI:
    return client_for("acme")


def ask(client: OpenAI, model: str = "tiny-caps") -> str | None:
    return client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content


def listen(client: OpenAI) -> list[tuple[str | None, str | None]]:
    chunks = client.chat.completions.create(model="tiny-caps", messages=HELLO, stream=True)
    first, *others = [(one.choices[0].delta.content, one.choices[0].finish_reason) for one in chunks]
    assert first == ("", None)
    return others


def test_an_unknown_adapter_is_loaded_and_the_question_repeated(
    scripted: ScriptedServer, client: OpenAI, registered_model: str
) -> None:
    scripted.replies = [error(404, "no such model"), JSONResponse({}), whole()]

    answer = ask(client, registered_model)

    assert answer == "hi"
    assert [path for path, _ in scripted.asked] == [
        "/v1/chat/completions",
        "/v1/load_lora_adapter",
        "/v1/chat/completions",
    ]
    assert scripted.asked[0][1]["model"] == scripted.asked[2][1]["model"] == registered_model
    assert scripted.asked[1][1] == {
        "lora_name": registered_model,
        "lora_path": f"s3://outcrop-bucket/{ADAPTER_KEY}",
        "base_model_name": "tiny-caps",
    }


def test_weights_that_the_server_cannot_load_are_named_so_that_it_may_be_started_with_them(
    scripted: ScriptedServer, client: OpenAI, registered_model: str
) -> None:
    found = ModelStore("acme").get(registered_model)
    assert found
    own = found.model_copy(update={"adapter_key": None, "weights_key": "projects/acme/weights/"})
    ModelStore("acme").put(own)
    scripted.replies = [error(404, "no such model"), JSONResponse({"detail": "Not Found"}, 404)]

    with pytest.raises(openai.InternalServerError, match="started with its weights, s3://outcrop-bucket/"):
        ask(client, registered_model)

    assert scripted.asked[1] == (
        "/v1/load_model",
        {
            "model_name": registered_model,
            "model_path": "s3://outcrop-bucket/projects/acme/weights/",
            "base_model_name": "tiny-caps",
        },
    )
    scripted.replies = [whole()]
    assert ask(client, registered_model) == "hi"


def test_an_adapter_that_another_request_has_just_loaded_is_no_error(
    scripted: ScriptedServer, client: OpenAI, registered_model: str
) -> None:
    scripted.replies = [
        error(404, "no such model"),
        error(400, "The lora adapter has already been loaded."),
        whole(),
    ]

    answer = ask(client, registered_model)

    assert answer == "hi"


@pytest.mark.parametrize("load", [error(404, "No adapter found"), error(500, "out of memory")])
def test_an_adapter_that_cannot_be_loaded_is_a_503(
    scripted: ScriptedServer, client: OpenAI, registered_model: str, load: Response
) -> None:
    scripted.replies = [error(404, "no such model"), load]

    with pytest.raises(openai.InternalServerError, match=f"cannot load '{registered_model}'") as raised:
        ask(client, registered_model)

    assert raised.value.status_code == 503


def test_the_servers_own_words_about_a_bad_request_reach_the_caller(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    scripted.replies = [error(400, "top_p must be in (0, 1], got 0.0.", param="top_p")]

    with pytest.raises(openai.BadRequestError, match="top_p must be in") as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("top_p", None)


def test_vllms_context_overflow_gets_openais_code(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [
        error(400, "This model's maximum context length is 8 tokens. However, you requested 9.")
    ]

    with pytest.raises(openai.BadRequestError) as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize(
    "reply", [error(401, "no"), error(404, "no"), error(500, "no"), Response("<html>", 502)]
)
def test_what_is_wrong_between_us_and_the_server_is_a_503(
    scripted: ScriptedServer, client: OpenAI, reply: Response
) -> None:
    scripted.replies = [reply]

    with pytest.raises(openai.InternalServerError, match="The model server answered") as raised:
        ask(client)

    assert raised.value.status_code == 503


def test_a_finish_reason_in_the_last_text_gets_a_chunk_of_its_own(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    scripted.replies = [streamed(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), "[DONE]")]

    heard = listen(client)

    assert heard == [("a", None), ("b", None), (None, "stop")]


def test_line_separators_in_a_text_do_not_break_the_stream(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [streamed(chunk({"content": "a\u2028b\x85c\x0bd"}), chunk({}, "stop"), "[DONE]")]

    heard = listen(client)

    assert heard == [("a\u2028b\x85c\x0bd", None), (None, "stop")]


def test_a_stream_that_breaks_off_is_an_error_not_an_end(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [streamed(chunk({"content": "a"}))]

    with pytest.raises(openai.APIError, match="ended before it was complete"):
        listen(client)


def test_an_error_in_the_middle_of_a_stream_is_raised(scripted: ScriptedServer, client: OpenAI) -> None:
    scripted.replies = [
        streamed(chunk({"content": "a"}), {"error": {"message": "out of memory", "code": 500}})
    ]

    with pytest.raises(openai.APIError, match="The model server failed: out of memory"):
        listen(client)


def test_while_a_stream_is_silent_it_shows_signs_of_life(
    scripted: ScriptedServer, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "PATIENCE_SECONDS", 0.05)
    events = (chunk({"content": "a"}), chunk({}, "stop"), "[DONE]")
    scripted.replies = [lambda: streamed(*events, pause_seconds=0.2)]

    stream = client.chat.completions.with_streaming_response.create(
        model="tiny-caps", messages=HELLO, stream=True
    )
    with stream as reply:
        body = reply.read().decode()

    first, *rest = body.split("\n\n")
    assert first == ": ping"
    assert {line for line in rest if not line.startswith("data: ")} == {": ping", ""}
    assert body.endswith("data: [DONE]\n\n")
    assert listen(client) == [("a", None), (None, "stop")]


def test_a_caller_who_hangs_up_ends_the_servers_work(scripted: ScriptedServer, client: OpenAI) -> None:
    ended = threading.Semaphore(0)
    scripted.replies = [lambda: endless(ended)]

    with client.chat.completions.create(model="tiny-caps", messages=HELLO, stream=True) as stream:
        next(stream)
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="tiny-caps", messages=HELLO, timeout=0.5)

    assert ended.acquire(timeout=20) and ended.acquire(timeout=20)


def endless(ended: threading.Semaphore) -> Response:
    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: " + orjson.dumps(chunk({"content": "a"})) + b"\n\n"
                await asyncio.sleep(0.01)
        finally:
            ended.release()

    return StreamingResponse(body(), media_type="text/event-stream")


@pytest.mark.parametrize(
    ("sent", "answered"), [("7", "7"), ("3600", "60"), ("0", "1"), ("soon", "2"), (None, "2")]
)
@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_server_is_asked_again_after_a_while_that_the_sdk_waits(
    scripted: ScriptedServer, client: OpenAI, status: int, sent: str | None, answered: str
) -> None:
    headers = {"retry-after": sent} if sent else {}
    scripted.replies = [JSONResponse({"error": {"message": "busy"}}, status, headers)]

    with pytest.raises(openai.InternalServerError) as raised:
        ask(client)

    assert raised.value.status_code == 503
    assert raised.value.response.headers["retry-after"] == answered


@pytest.mark.parametrize(
    "message",
    [
        "'max_tokens' is too large: 9. This model's maximum context length is 8 tokens.",
        "The decoder prompt (length 9) is longer than the maximum model length of 8.",
        "The input (9 tokens) is longer than the model's context length (8 tokens).",
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_a_prompt_that_does_not_fit_is_said_in_many_ways(
    scripted: ScriptedServer, client: OpenAI, message: str
) -> None:
    scripted.replies = [error(400, message)]

    with pytest.raises(openai.BadRequestError) as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "too hot", "type": "BadRequestError", "code": 400},
        {"error": "too hot"},
        {"detail": "too hot"},
        {"error": {"message": "too hot", "param": ["a"], "code": 400}},
    ],
)
def test_other_envelopes_are_read_too(scripted: ScriptedServer, client: OpenAI, body: dict[str, Any]) -> None:
    scripted.replies = [JSONResponse(body, 400)]

    with pytest.raises(openai.BadRequestError, match="too hot") as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == (None, None)
    assert raised.value.type == "invalid_request_error"


def test_an_error_without_an_envelope_in_the_middle_of_a_stream_is_raised(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    failed = {"object": "error", "message": "out of memory", "code": 500}
    scripted.replies = [streamed(chunk({"content": "a"}), failed, "[DONE]")]

    with pytest.raises(openai.APIError, match="The model server failed: out of memory"):
        listen(client)


def test_a_connection_that_breaks_in_the_middle_of_a_stream_is_an_error_not_an_end(
    scripted: ScriptedServer, client: OpenAI
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"data: " + orjson.dumps(chunk({"content": "a"})) + b"\n\n"
        raise ConnectionError

    scripted.replies = [lambda: StreamingResponse(body(), media_type="text/event-stream")]

    stream = client.chat.completions.with_streaming_response.create(
        model="tiny-caps", messages=HELLO, stream=True
    )
    with stream as reply:
        said = reply.read().decode()

    assert "cannot be reached (RemoteProtocolError)" in said
    assert "[DONE]" not in said


def test_a_stream_may_end_its_lines_as_windows_does(scripted: ScriptedServer, client: OpenAI) -> None:
    async def body() -> AsyncIterator[bytes]:
        for event in (chunk({"content": "a"}), chunk({}, "stop")):
            yield b": ping\r\n\r\ndata:" + orjson.dumps(event) + b"\r\n\r\n"
        yield b"data: [DONE]\r\n\r\n"

    scripted.replies = [StreamingResponse(body(), media_type="text/event-stream")]

    assert listen(client) == [("a", None), (None, "stop")]
