"""Chat completions: a request is checked, its model resolved, and the model server asked.

Base model, tuned model and checkpoint take the same way; they differ in what `models.resolve` finds.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from pydantic import ValidationError

from outcrop.errors import APIError
from outcrop.operations import models
from outcrop.operations.bad_request import bad_request
from outcrop.serving.server import model_server
from outcrop.types.chat import ChatRequest

# Fields that would change the answer and are not supported, each with the values by which it asks for
# nothing. Every other unknown field is ignored: it is advice (`user`, `metadata`, `prediction`) or
# bookkeeping (`store`).
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
}


def parse(body: bytes) -> ChatRequest:
    """The request in a body, or an APIError that names the field at fault."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise APIError(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise APIError("The request body must be a JSON object.")
    for name, idle in _UNSUPPORTED.items():
        if fields.get(name) is not None and fields[name] not in idle:
            raise APIError(f"{name}: not supported by this API.", param=name, code="unsupported_parameter")
    try:
        asked = ChatRequest.model_validate(fields)
    except ValidationError as error:
        # Without its cause, whose text carries the caller's messages.
        raise bad_request(error.errors(include_url=False, include_input=False)) from None
    if asked.stream_options and not asked.stream:
        raise APIError("stream_options: only allowed when 'stream' is true.", param="stream_options")
    return asked


async def complete(request: ChatRequest, project: str) -> dict[str, Any]:
    """The whole answer, a `chat.completion`."""
    served = await asyncio.to_thread(models.resolve, request.model, project)
    answer = await model_server().chat(served, _for_server(request))
    return answer | {"model": request.model}


async def stream(request: ChatRequest, project: str) -> AsyncGenerator[dict[str, Any]]:
    """The answer in `chat.completion.chunk` objects, in OpenAI's order. Closing it stops the model."""
    served = await asyncio.to_thread(models.resolve, request.model, project)
    async with aclosing(model_server().stream(served, _for_server(request))) as chunks:
        async for chunk in chunks:
            yield chunk | {"model": request.model}


def _for_server(request: ChatRequest) -> dict[str, Any]:
    return request.model_dump(exclude_none=True)
