"""Responses: a request is answered by the model server, as a chat, and the answer is kept.

A response that its caller waits for is kept when it is over. One whose caller leaves before is not: the model
stops, and nothing is left of it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from outcrop.errors import APIError, NotFoundError, StateError
from outcrop.ids import is_id
from outcrop.operations import models
from outcrop.operations.listing import cut
from outcrop.operations.response_assembly import Event
from outcrop.operations.response_chat import chat_request, chunks
from outcrop.operations.response_input import gather
from outcrop.operations.response_request import begun
from outcrop.operations.response_retelling import retell
from outcrop.operations.response_start import Started, assembly, start
from outcrop.serving.server import model_server
from outcrop.stores import claims
from outcrop.stores.response_events import ResponseEvents
from outcrop.stores.responses import ResponseStore, StoredResponse
from outcrop.stores.rows import Order
from outcrop.types.call import Call
from outcrop.types.response_request import CreateResponse

Json = dict[str, object]

_logger = logging.getLogger(__name__)


async def create(asked: CreateResponse, call: Call) -> Json:
    """The whole answer."""
    started = await asyncio.to_thread(start, asked, call)
    if isinstance(started, StoredResponse):
        return started.response
    stored = started.stored(asked)
    is_kept = False
    try:
        parts = assembly(stored)
        async with aclosing(_chunks(started, stored, whole=True)) as answer:
            async for chunk in answer:
                for _ in parts.add(chunk):
                    pass
        *_, end = parts.end()
        is_kept = await _keep(stored, end, asked, call)
        return end["response"]
    finally:
        _release(call, unless=is_kept)


async def stream(asked: CreateResponse, call: Call) -> AsyncGenerator[Event]:
    """The answer in events. What goes wrong before the model has said a word is raised; later it is told by
    `response.failed`, and kept like that."""
    started = await asyncio.to_thread(start, asked, call)
    if isinstance(started, StoredResponse):
        for event in retell(started.response):
            yield event
        return
    stored = started.stored(asked)
    parts, is_begun, is_kept = assembly(stored), False, False
    try:
        try:
            async with aclosing(_chunks(started, stored, whole=False)) as answer:
                async for chunk in answer:
                    if not is_begun:
                        is_begun = True
                        for event in parts.begin("in_progress"):
                            yield event
                    for event in parts.add(chunk):
                        yield event
            *events, end = parts.end()
            for event in events:
                yield event
            is_kept = await _keep(stored, end, asked, call)
        except Exception as error:
            if not is_begun:
                raise
            end = parts.fail(failure(error))
            is_kept = await _keep(stored, end, asked, call)
        yield end
    finally:
        _release(call, unless=is_kept)


async def count_input_tokens(asked: CreateResponse, project: str) -> Json:
    """Asks the model for one token more: any server counts what it has read."""
    served = await asyncio.to_thread(models.resolve, asked.model, project)
    items = await asyncio.to_thread(gather, asked, project)
    request = chat_request(begun(asked, ""), items, logprobs=False) | {"max_completion_tokens": 1}
    for name in ("tool_choice", "response_format"):  # they shape the answer, not what is read
        request.pop(name, None)
    async with aclosing(chunks(model_server(), served, request, shorten=False, whole=True)) as answer:
        usage = [chunk["usage"] async for chunk in answer][-1]
    return {"object": "response.input_tokens", "input_tokens": usage["prompt_tokens"]}


def retrieve(response_id: str, project: str) -> Json:
    return ResponseStore(project).get(response_id).response


def delete(response_id: str, project: str, *, is_retry: bool) -> Json:
    """A retry finds nothing when the reply to the try before was lost: then it is deleted, too. The worker of
    a background response stops."""
    try:
        deleted = ResponseStore(project).delete(response_id)
    except NotFoundError:
        if not (is_retry and is_id(response_id, "resp_")):
            raise
    else:
        events = ResponseEvents(project, response_id)
        if not deleted.is_over:
            events.end()
        if deleted.is_streamed:
            events.delete()
    return {"id": response_id, "object": "response", "deleted": True}


def cancel(response_id: str, project: str) -> Json:
    """Raises: StateError for one that is not in the background. One that is over is answered as it is."""
    store = ResponseStore(project)
    cancelled = store.cancel(response_id)
    if cancelled is not None:
        ResponseEvents(project, response_id).end()
        return cancelled.response
    stored = store.get(response_id)
    if not stored.is_background:
        raise StateError(
            "Cannot cancel a synchronous response: it was not created with background=true.",
            param="response_id",
        )
    return stored.response


def input_items(response_id: str, *, after: str | None, limit: int, order: Order, project: str) -> Json:
    """All that led to the response, the items of the responses before it among them."""
    items = ResponseStore(project).get(response_id).input
    page, has_more = cut(items, lambda item: item["id"], after=after, limit=limit, order=order)
    return {
        "object": "list",
        "data": page,
        "has_more": has_more,
        # OpenAI's schema has no null here.
        "first_id": page[0]["id"] if page else "",
        "last_id": page[-1]["id"] if page else "",
    }


def failure(error: Exception) -> dict[str, str]:
    """What a response that has begun says about its failing."""
    if isinstance(error, APIError):
        code = "invalid_prompt" if error.status < 500 else "server_error"
        return {"code": code, "message": error.message}
    _logger.error("response failed", exc_info=error)
    return {"code": "server_error", "message": "The server had an error while processing your request."}


def _chunks(started: Started, stored: StoredResponse, *, whole: bool) -> AsyncGenerator[dict[str, object]]:
    request = chat_request(started.response, started.items, logprobs=stored.wants_logprobs)
    shorten = started.response.truncation == "auto"
    return chunks(model_server(), started.served, request, shorten=shorten, whole=whole)


async def _keep(stored: StoredResponse, end: Event, asked: CreateResponse, call: Call) -> bool:
    """Whether the response is kept now."""
    if asked.is_stored:
        over = stored.model_copy(update={"status": end["response"]["status"], "response": end["response"]})
        await asyncio.to_thread(ResponseStore(call.project).put_new, over)
    return asked.is_stored


def _release(call: Call, *, unless: bool) -> None:
    """Not awaited: the caller may have left, and then nothing can be."""
    if call.idempotency_key is not None and not unless:
        asyncio.get_running_loop().run_in_executor(None, claims.release, call)
