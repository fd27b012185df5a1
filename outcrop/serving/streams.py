"""A model server's answer as it comes over the wire: server-sent events, whose JSON becomes chunks."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

import orjson

from outcrop.errors import UnavailableError
from outcrop.serving.refusals import error_in

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
"""What a request says that is answered in events."""


class Chunks(Protocol):
    """`chat_shape.Chunks` or `completion_shape.Chunks`."""

    def add(self, raw: Any) -> list[dict[str, Any]]: ...

    def end(self) -> list[dict[str, Any]]: ...


async def shaped(pieces: AsyncIterator[bytes], chunks: Chunks) -> AsyncGenerator[dict[str, Any]]:
    """OpenAI's chunks, as the bytes of their events come in. Raises: UnavailableError for an answer that has
    no end, or an error in place of one."""
    async for data in _events(pieces):
        if data == b"[DONE]":
            for chunk in chunks.end():
                yield chunk
            return
        if error := error_in(data):
            raise UnavailableError(f"The model server failed: {error.get('message')}")
        for chunk in chunks.add(parsed(data)):
            yield chunk
    raise UnavailableError("The model server's answer ended before it was complete.")


def parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnavailableError("The model server's answer is not valid JSON.") from error


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The `data:` of each server-sent event. (httpx's `aiter_lines` also ends lines at U+2028, which JSON may
    contain.)"""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()
