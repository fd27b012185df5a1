"""A model server that says what a test tells it to, over real HTTP: vLLM's words, or nonsense."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


class ScriptedServer:
    """Answers in the order of `replies`, the last one ever again, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Response | Callable[[], Response]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.bearers: list[str | None] = []
        """The Authorization header of each."""
        routes = [
            Route(f"/v1/{path}", self._answer, methods=["POST"])
            for path in ("chat/completions", "completions", "load_lora_adapter", "load_model")
        ]
        self.app = Starlette(routes=routes)

    async def _answer(self, request: Request) -> Response:
        self.asked.append((request.url.path, orjson.loads(await request.body())))
        self.bearers.append(request.headers.get("authorization"))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply if isinstance(reply, Response) else reply()

    @property
    def request(self) -> dict[str, Any]:
        """The body of the last question."""
        return self.asked[-1][1]


def whole(
    message: dict[str, Any] | None = None, finish_reason: str | None = "stop", **fields: Any
) -> Response:
    """A chat completion as vLLM answers it: full of nulls, and under a name of its own."""
    nulls = {"refusal": None, "annotations": None, "audio": None, "function_call": None, "tool_calls": []}
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "stop_reason": None,
        "token_ids": None,
        "logprobs": None,
        "message": {"role": "assistant", "content": "hi", **nulls, "reasoning": None} | (message or {}),
    }
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "as the server calls it",
        "service_tier": None,
        "system_fingerprint": None,
        "prompt_logprobs": None,
        "kv_transfer_params": None,
        "choices": [choice],
        "usage": USAGE | {"prompt_tokens_details": None},
    }
    return JSONResponse(answer | fields)


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


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason} | fields
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def spent() -> dict[str, Any]:
    """The chunk with the usage, the last before `[DONE]`."""
    return chunk({}) | {"choices": [], "usage": USAGE}
