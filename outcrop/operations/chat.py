"""Chat completions: a request is checked, its model resolved, and the model server asked.

Base model, tuned model and checkpoint take the same way; they differ in what `models.resolve` finds.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from outcrop.ids import new_id, now
from outcrop.operations import chat_rules, models, stored_chat
from outcrop.operations.bad_request import explain
from outcrop.operations.json_body import json_object
from outcrop.operations.legacy_functions import as_function_call, as_tools
from outcrop.serving.chat_assembly import Assembly
from outcrop.serving.server import model_server
from outcrop.types.chat import AllowedToolsChoice, ChatRequest


def parse(body: bytes) -> ChatRequest:
    """The request in a body, in terms of tools; or an APIError that names the field at fault."""
    fields = json_object(body)
    chat_rules.refuse_unsupported(fields)
    try:
        asked = ChatRequest.model_validate(fields)
    except ValidationError as error:
        # Without its cause, whose text carries the caller's messages.
        raise explain(error, fields) from None
    chat_rules.check(asked)
    return as_tools(asked)


async def complete(asked: ChatRequest, project: str) -> dict[str, Any]:
    """The whole answer, a `chat.completion`. It is stored, if it is to be, before it is given."""
    served = await asyncio.to_thread(models.resolve, asked.model, project)
    answer = await model_server().chat(served, _for_server(asked))
    completion = _head(asked, "chat.completion") | answer
    if asked.functions:
        completion = as_function_call(completion)
    if asked.store:
        await asyncio.to_thread(stored_chat.keep, asked, completion, project)
    return completion


async def stream(asked: ChatRequest, project: str) -> AsyncGenerator[dict[str, Any]]:
    """The answer in `chat.completion.chunk` objects, in OpenAI's order. Closing it stops the model.

    What is to be stored is stored when it is complete: a stream that its caller leaves is not.
    """
    served = await asyncio.to_thread(models.resolve, asked.model, project)
    wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
    head = _head(asked, "chat.completion.chunk") | ({"usage": None} if wants_usage else {})
    assembly = Assembly()
    async with aclosing(model_server().stream(served, _for_server(asked))) as chunks:
        async for chunk in chunks:
            chunk = head | (as_function_call(chunk) if asked.functions else chunk)
            if asked.store:
                assembly.add(chunk)
            if chunk["choices"] or (wants_usage and chunk["usage"]):
                yield chunk
    if asked.store:
        await asyncio.to_thread(stored_chat.keep, asked, assembly.completion(), project)


def _head(asked: ChatRequest, kind: str) -> dict[str, Any]:
    head = {"id": new_id("chatcmpl-"), "object": kind, "created": now(), "model": asked.model}
    return head | ({"service_tier": "default"} if asked.service_tier else {})


def _for_server(asked: ChatRequest) -> dict[str, Any]:
    """The request as every server understands it: one that allows some of its tools shows only these."""
    tools, choice = asked.tools, asked.tool_choice
    if isinstance(choice, AllowedToolsChoice):
        allowed = {tool.function.name for tool in choice.allowed_tools.tools}
        tools = [tool for tool in tools or () if tool.function.name in allowed]
        choice = choice.allowed_tools.mode
    changes = {"tools": tools, "tool_choice": choice}
    if not tools:
        changes = {"tools": None, "tool_choice": None, "parallel_tool_calls": None}
    request = asked.model_copy(update=changes).model_dump(exclude_none=True, by_alias=True)
    request.pop("stream_options", None)  # the answer's shape is ours
    return request
