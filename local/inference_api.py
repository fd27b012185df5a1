"""The HTTP side of the local inference server: `/v1/chat/completions`, `/v1/models`, and vLLM's adapter API.

Without `max_tokens` a completion may have `DEFAULT_MAX_TOKENS` tokens, where OpenAI and vLLM give it the rest
of the context: a small model that does not find its end would keep two cores busy for minutes.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdas.inference.replies import ERROR_REPLIES, json_reply, stream_reply, whole_reply
from local.adapters import Adapter, Adapters
from local.chat_answer import ChatAnswer
from local.completion_text import CompletionText
from local.inference_batches import Batches, Row
from outcrop.errors import APIError, NotFoundError
from outcrop.operations import chat
from outcrop.operations.bad_request import bad_request
from outcrop.types.chat import ChatRequest

DEFAULT_MAX_TOKENS = 512


class Base(Protocol):
    context_length: int

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]: ...

    def decode(self, tokens: list[int]) -> str: ...


class Bases(Protocol):
    def names(self) -> list[str]: ...

    def base(self, name: str) -> Base: ...


class LoadAdapter(BaseModel):
    lora_name: str
    lora_path: str
    base_model_name: str


class UnloadAdapter(BaseModel):
    lora_name: str


class _Endpoints:
    def __init__(self, bases: Bases, adapters: Adapters, batches: Batches) -> None:
        self._bases = bases
        self._adapters = adapters
        self._batches = batches

    async def chat_completions(self, request: Request) -> Response:
        asked = chat.parse(await request.body())
        adapter = self._adapters.find(asked.model)
        name = adapter.base if adapter else asked.model
        if name not in self._bases.names():
            raise NotFoundError(
                f"The model '{asked.model}' does not exist.", param="model", code="model_not_found"
            )
        base = await asyncio.to_thread(self._bases.base, name)
        answer = self._answer(asked, name, base, adapter)
        if asked.stream:
            return await stream_reply(answer.chunks())
        return await whole_reply(request, answer.whole())

    def _answer(self, asked: ChatRequest, name: str, base: Base, adapter: Adapter | None) -> ChatAnswer:
        prompt = _prompt(asked, base)
        room = base.context_length - len(prompt)
        if room < (asked.token_limit or 1):
            raise APIError(
                f"This model's maximum context length is {base.context_length} tokens. The messages have "
                f"{len(prompt)} tokens, and the completion may have {asked.token_limit or 'at least 1'}.",
                param="messages",
                code="context_length_exceeded",
            )
        answer = ChatAnswer(asked, len(prompt), self._batches.submit)
        answer.rows = [
            Row(
                base=name,
                adapter=adapter.folder if adapter else None,
                prompt=prompt,
                max_tokens=asked.token_limit or min(room, DEFAULT_MAX_TOKENS),
                temperature=1.0 if asked.temperature is None else asked.temperature,
                top_p=1.0 if asked.top_p is None else asked.top_p,
                seed=None if asked.seed is None else asked.seed + index,
                text=CompletionText(base.decode, asked.stop or []),
                deliver=partial(answer.deliver, index),
            )
            for index in range(asked.n or 1)
        ]
        return answer

    async def load_adapter(self, request: Request) -> Response:
        asked = _body(LoadAdapter, await request.body())
        if asked.base_model_name not in self._bases.names():
            raise NotFoundError(
                f"The base model '{asked.base_model_name}' is not here.", param="base_model_name"
            )
        await asyncio.to_thread(self._adapters.load, asked.lora_name, asked.lora_path, asked.base_model_name)
        return json_reply({"lora_name": asked.lora_name})

    async def unload_adapter(self, request: Request) -> Response:
        asked = _body(UnloadAdapter, await request.body())
        self._adapters.unload(asked.lora_name)
        return json_reply({"lora_name": asked.lora_name})

    async def models(self, _request: Request) -> Response:
        bases = [{"id": name, "parent": None} for name in self._bases.names()]
        adapters = [{"id": adapter.name, "parent": adapter.base} for adapter in self._adapters.list()]
        fields = {"object": "model", "created": 0, "owned_by": "outcrop"}
        return json_reply({"object": "list", "data": [fields | model for model in (*bases, *adapters)]})

    async def health(self, _request: Request) -> Response:
        return json_reply({"status": "ok"})


def inference_api(bases: Bases, adapters: Adapters, batches: Batches) -> Starlette:
    endpoints = _Endpoints(bases, adapters, batches)
    routes = [
        Route("/v1/chat/completions", endpoints.chat_completions, methods=["POST"]),
        Route("/v1/load_lora_adapter", endpoints.load_adapter, methods=["POST"]),
        Route("/v1/unload_lora_adapter", endpoints.unload_adapter, methods=["POST"]),
        Route("/v1/models", endpoints.models),
        Route("/health", endpoints.health),
    ]
    return Starlette(routes=routes, exception_handlers=ERROR_REPLIES)


def _prompt(asked: ChatRequest, base: Base) -> list[int]:
    """Chat templates of small models know no developers: OpenAI's newer name for the system."""
    roles = {"developer": "system"}
    return base.encode(
        [
            {"role": roles.get(message.role, message.role), "content": message.content}
            for message in asked.messages
        ]
    )


_Body = TypeVar("_Body", bound=BaseModel)


def _body(kind: type[_Body], body: bytes) -> _Body:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise bad_request(error.errors(include_url=False)) from error
