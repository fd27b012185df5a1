"""The HTTP side of the local inference server: `/v1/chat/completions`, `/v1/completions`, `/v1/models`,
vLLM's adapter API, and its like for tuned models with weights of their own.
"""

import asyncio
from typing import TypeVar

import pydantic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdas.inference.replies import ERROR_REPLIES, json_reply, stream_reply, whole_reply
from local.adapters import Adapters
from local.base_model import BaseModel, BaseModels
from local.chat_answer import ChatAnswer
from local.chat_plan import chat_plan
from local.completion_answer import CompletionAnswer, completion_plans
from local.completion_stream import CompletionStream
from local.inference_batches import Batches
from outcrop.errors import NotFoundError
from outcrop.operations import chat, completions
from outcrop.operations.bad_request import bad_request


class LoadAdapter(pydantic.BaseModel):
    lora_name: str
    lora_path: str
    base_model_name: str


class LoadModel(pydantic.BaseModel):
    model_name: str
    model_path: str
    base_model_name: str


class UnloadAdapter(pydantic.BaseModel):
    lora_name: str


class _Endpoints:
    def __init__(self, bases: BaseModels, adapters: Adapters, batches: Batches) -> None:
        self._bases = bases
        self._adapters = adapters
        self._batches = batches

    async def chat_completions(self, request: Request) -> Response:
        asked = chat.parse(await request.body())
        base, stream = await self._serving(asked.model)
        plan = await asyncio.to_thread(chat_plan, asked, base)
        stream.add(plan.prompt, plan.sampling, asked.stop or [], asked.n or 1)
        answer = ChatAnswer(asked, plan, stream, base.token_bytes)
        if asked.stream:
            return await stream_reply(answer.chunks())
        return await whole_reply(request, answer.whole())

    async def completions(self, request: Request) -> Response:
        asked = completions.parse(await request.body())
        base, stream = await self._serving(asked.model)
        plans = await asyncio.to_thread(completion_plans, asked, base)
        for plan in plans:
            stream.add(
                plan.prompt,
                plan.sampling,
                asked.stop or [],
                asked.n or 1,
                scores_prompt=bool(asked.echo) and asked.logprobs is not None,
            )
        answer = CompletionAnswer(asked, plans, stream, base)
        if asked.stream:
            return await stream_reply(answer.chunks())
        return await whole_reply(request, answer.whole())

    async def _serving(self, model: str) -> tuple[BaseModel, CompletionStream]:
        """The base model of `model`, in memory, and what its completions come through."""
        adapter = self._adapters.find(model)
        name = adapter.base if adapter else model
        if name not in self._bases.names():
            raise NotFoundError(f"The model '{model}' does not exist.", param="model", code="model_not_found")
        base = await asyncio.to_thread(self._bases.base, name)
        folder = adapter.folder if adapter else None
        return base, CompletionStream(self._batches.submit, name, folder, base.decode)

    async def load_adapter(self, request: Request) -> Response:
        asked = _body(LoadAdapter, await request.body())
        base = self._known_base(asked.base_model_name)
        await asyncio.to_thread(self._adapters.load, asked.lora_name, asked.lora_path, base)
        return json_reply({"lora_name": asked.lora_name})

    async def load_model(self, request: Request) -> Response:
        asked = _body(LoadModel, await request.body())
        base = self._known_base(asked.base_model_name)
        await asyncio.to_thread(self._adapters.load, asked.model_name, asked.model_path, base, is_whole=True)
        return json_reply({"model_name": asked.model_name})

    def _known_base(self, name: str) -> str:
        if name not in self._bases.names():
            raise NotFoundError(f"The base model '{name}' is not here.", param="base_model_name")
        return name

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


def inference_api(bases: BaseModels, adapters: Adapters, batches: Batches) -> Starlette:
    endpoints = _Endpoints(bases, adapters, batches)
    routes = [
        Route("/v1/chat/completions", endpoints.chat_completions, methods=["POST"]),
        Route("/v1/completions", endpoints.completions, methods=["POST"]),
        Route("/v1/load_lora_adapter", endpoints.load_adapter, methods=["POST"]),
        Route("/v1/load_model", endpoints.load_model, methods=["POST"]),
        Route("/v1/unload_lora_adapter", endpoints.unload_adapter, methods=["POST"]),
        Route("/v1/models", endpoints.models),
        Route("/health", endpoints.health),
    ]
    return Starlette(routes=routes, exception_handlers=ERROR_REPLIES)


_Body = TypeVar("_Body", bound=pydantic.BaseModel)


def _body(kind: type[_Body], body: bytes) -> _Body:
    try:
        return kind.model_validate_json(body)
    except pydantic.ValidationError as error:
        raise bad_request(error.errors(include_url=False)) from error
