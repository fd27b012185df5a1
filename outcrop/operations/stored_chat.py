"""Chat completions asked for with `store`: kept for 30 days, to be listed, noted upon and deleted."""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import NotFoundError
from outcrop.ids import is_id
from outcrop.operations.listing import cut
from outcrop.stores.chats import ChatStore
from outcrop.stores.rows import Order
from outcrop.types.chat import ChatRequest
from outcrop.types.page import Page
from outcrop.types.stored_chat import ChatCompletion, ChatCompletionDeleted, StoredMessage

_ASKED = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
)
"""What a stored completion repeats of its request, as OpenAI's do."""


def keep(asked: ChatRequest, completion: Mapping[str, Any], project: str) -> None:
    """Store a complete completion with its messages. Raises what the store raises: a caller who asked for it
    must not believe it kept."""
    request = asked.model_dump(include=set(_ASKED), by_alias=True)
    stored = {**request, "input_user": asked.user, **completion, "metadata": asked.metadata or {}}
    messages = [
        StoredMessage(
            id=f"{completion['id']}-{index}",
            **message.model_dump(exclude_none=True),
            content_parts=message.content_parts,
        )
        for index, message in enumerate(asked.messages)
    ]
    ChatStore(project).put(ChatCompletion.model_validate(stored), messages)


def list(
    *,
    after: str | None,
    limit: int,
    order: Order,
    model: str | None,
    metadata: Mapping[str, str] | None,
    project: str,
) -> Page[ChatCompletion]:
    return ChatStore(project).list(after=after, limit=limit, order=order, model=model, metadata=metadata)


def retrieve(completion_id: str, project: str) -> ChatCompletion:
    return ChatStore(project).get(completion_id)


def update(completion_id: str, metadata: Mapping[str, str] | None, project: str) -> ChatCompletion:
    return ChatStore(project).set_metadata(completion_id, metadata or {})


def delete(completion_id: str, project: str, *, is_retry: bool) -> ChatCompletionDeleted:
    """A retry finds nothing when the reply to the try before was lost: then it is deleted, too."""
    try:
        ChatStore(project).delete(completion_id)
    except NotFoundError:
        if not (is_retry and is_id(completion_id, "chatcmpl-")):
            raise
    return ChatCompletionDeleted(id=completion_id)


def messages(
    completion_id: str, *, after: str | None, limit: int, order: Order, project: str
) -> Page[StoredMessage]:
    """The messages that the completion answers; its own are in its choices."""
    listed = ChatStore(project).messages(completion_id)
    page, has_more = cut(listed, lambda message: message.id, after=after, limit=limit, order=order)
    return Page[StoredMessage].of(page, has_more=has_more)
