"""What reaches the SDK when the model server behaves as vLLM, or badly: a scripted server in its place."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import orjson
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lambdas.inference import replies
from tests.inference.conftest import ADAPTER_KEY, ClientFor, Serve, running_app

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
WHOLE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "as the server calls it",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "hi"},
        }
    ],
}


class ScriptedServer:
    """Answers in the order of `replies`, the last one ever again, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Response | Callable[[], Response]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        routes = [
            Route(f"/v1/{path}", self._answer, methods=["POST"])
            for path in ("chat/completions", "load_lora_adapter")
        ]
        self.app = Starlette(routes=routes)

    async def _answer(self, request: Request) -> Response:
        self.asked.append((request.url.path, orjson.loads(await request.body())))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply if isinstance(reply, Response) else reply()


@pytest.fixture
def server(served_by: Serve) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    with running_app(scripted.app) as url:
        served_by(f"{url}/v1")
        yield scripted


@pytest.fixture
def client(client_for: ClientFor) -> OpenAI:
    return client_for("acme")


def error(status: int, message: str, **fields: Any) -> Response:
    """An error as vLLM puts it: its `code` is the status."""
    body = {"message": message, "type": "BadRequestError", "param": None, "code": status}
    return JSONResponse({"error": body | fields}, status)


def streamed(*events: dict[str, Any] | str, pause_seconds: float = 0) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for event in events:
            await asyncio.sleep(pause_seconds)
            data = event if isinstance(event, str) else orjson.dumps(event).decode()
            yield f"data: {data}\n\n".encode()

    return StreamingResponse(body(), media_type="text/event-stream")


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def ask(client: OpenAI, model: str = "tiny-caps") -> str | None:
    return client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content


def listen(client: OpenAI) -> list[tuple[str | None, str | None]]:
    chunks = client.chat.completions.create(model="tiny-caps", messages=HELLO, stream=True)
    return [(one.choices[0].delta.content, one.choices[0].finish_reason) for one in chunks]


def test_an_unknown_adapter_is_loaded_and_the_question_repeated(
    server: ScriptedServer, client: OpenAI, registered_model: str
) -> None:
    server.replies = [error(404, "no such model"), JSONResponse({}), JSONResponse(WHOLE)]

    answer = ask(client, registered_model)

    assert answer == "hi"
    assert [path for path, _ in server.asked] == [
        "/v1/chat/completions",
        "/v1/load_lora_adapter",
        "/v1/chat/completions",
    ]
    assert server.asked[0][1]["model"] == server.asked[2][1]["model"] == registered_model
    assert server.asked[1][1] == {
        "lora_name": registered_model,
        "lora_path": f"s3://outcrop-bucket/{ADAPTER_KEY}",
        "base_model_name": "tiny-caps",
    }


def test_an_adapter_that_another_request_has_just_loaded_is_no_error(
    server: ScriptedServer, client: OpenAI, registered_model: str
) -> None:
    server.replies = [
        error(404, "no such model"),
        error(400, "The lora adapter has already been loaded."),
        JSONResponse(WHOLE),
    ]

    answer = ask(client, registered_model)

    assert answer == "hi"


@pytest.mark.parametrize("load", [error(404, "No adapter found"), error(500, "out of memory")])
def test_an_adapter_that_cannot_be_loaded_is_a_503(
    server: ScriptedServer, client: OpenAI, registered_model: str, load: Response
) -> None:
    server.replies = [error(404, "no such model"), load]

    with pytest.raises(openai.InternalServerError, match=f"cannot load '{registered_model}'") as raised:
        ask(client, registered_model)

    assert raised.value.status_code == 503


def test_the_servers_own_words_about_a_bad_request_reach_the_caller(
    server: ScriptedServer, client: OpenAI
) -> None:
    server.replies = [error(400, "top_p must be in (0, 1], got 0.0.", param="top_p")]

    with pytest.raises(openai.BadRequestError, match="top_p must be in") as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("top_p", None)


def test_vllms_context_overflow_gets_openais_code(server: ScriptedServer, client: OpenAI) -> None:
    server.replies = [
        error(400, "This model's maximum context length is 8 tokens. However, you requested 9.")
    ]

    with pytest.raises(openai.BadRequestError) as raised:
        ask(client)

    assert (raised.value.param, raised.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize(
    "reply", [error(401, "no"), error(404, "no"), error(500, "no"), Response("<html>", 502)]
)
def test_what_is_wrong_between_us_and_the_server_is_a_503(
    server: ScriptedServer, client: OpenAI, reply: Response
) -> None:
    server.replies = [reply]

    with pytest.raises(openai.InternalServerError, match="The model server answered") as raised:
        ask(client)

    assert raised.value.status_code == 503


def test_a_finish_reason_in_the_last_text_gets_a_chunk_of_its_own(
    server: ScriptedServer, client: OpenAI
) -> None:
    server.replies = [streamed(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), "[DONE]")]

    heard = listen(client)

    assert heard == [("a", None), ("b", None), (None, "stop")]


def test_line_separators_in_a_text_do_not_break_the_stream(server: ScriptedServer, client: OpenAI) -> None:
    server.replies = [streamed(chunk({"content": "a\u2028b\x85c\x0bd"}), chunk({}, "stop"), "[DONE]")]

    heard = listen(client)

    assert heard == [("a\u2028b\x85c\x0bd", None), (None, "stop")]


def test_a_stream_that_breaks_off_is_an_error_not_an_end(server: ScriptedServer, client: OpenAI) -> None:
    server.replies = [streamed(chunk({"content": "a"}))]

    with pytest.raises(openai.APIError, match="ended before it was complete"):
        listen(client)


def test_an_error_in_the_middle_of_a_stream_is_raised(server: ScriptedServer, client: OpenAI) -> None:
    server.replies = [streamed(chunk({"content": "a"}), {"error": {"message": "out of memory", "code": 500}})]

    with pytest.raises(openai.APIError, match="The model server failed: out of memory"):
        listen(client)


def test_nonsense_in_the_middle_of_a_stream_is_an_error_without_its_details(
    server: ScriptedServer, client: OpenAI
) -> None:
    server.replies = [streamed(chunk({"content": "a"}), "{nonsense")]

    with pytest.raises(openai.APIError, match="The server had an error"):
        listen(client)


def test_while_a_stream_is_silent_it_shows_signs_of_life(
    server: ScriptedServer, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "PATIENCE_SECONDS", 0.05)
    events = (chunk({"content": "a"}), chunk({}, "stop"), "[DONE]")
    server.replies = [lambda: streamed(*events, pause_seconds=0.2)]

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


def test_a_caller_who_hangs_up_ends_the_servers_work(server: ScriptedServer, client: OpenAI) -> None:
    ended = threading.Semaphore(0)
    server.replies = [lambda: endless(ended)]

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
