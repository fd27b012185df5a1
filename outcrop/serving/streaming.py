"""A model server that streams in any case: a whole answer is put together from what it streams."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from outcrop.serving import chat_shape, completion_shape
from outcrop.serving.chat_assembly import Assembly
from outcrop.serving.streams import Chunks
from outcrop.types.model import ServedModel

SILENT_SECONDS = 270
"""A whole answer is waited for in silence, which API Gateway bears for five minutes."""
STREAM_SECONDS = 780
"""Of the 15 minutes of a stream, some are left for the answer."""
RETRY_AFTER_SECONDS = 50
"""The SDKs obey up to a minute. Three tries, as they make by default, span a quarter of an hour."""


class Streaming:
    """The four calls of a `ModelServer`, by the one that a kind of server has of its own."""

    def _stream(
        self, path: str, model: ServedModel, request: dict[str, Any], chunks: Chunks, patience: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """The answer of `path` as it comes, shaped by `chunks`. A model that sleeps is waited for `patience`
        seconds."""
        raise NotImplementedError

    async def chat(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        assembly = Assembly()
        async with aclosing(self._chat(model, request, SILENT_SECONDS)) as chunks:
            async for chunk in chunks:
                assembly.add(chunk)
        return assembly.completion()

    def stream(self, model: ServedModel, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        return self._chat(model, request, STREAM_SECONDS)

    async def complete(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        async with aclosing(self._completion(model, request, SILENT_SECONDS)) as chunks:
            return completion_shape.joined([chunk async for chunk in chunks])

    def stream_completion(
        self, model: ServedModel, request: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        return self._completion(model, request, STREAM_SECONDS)

    def _chat(
        self, model: ServedModel, request: dict[str, Any], patience: float
    ) -> AsyncGenerator[dict[str, Any]]:
        return self._stream("chat/completions", model, request, chat_shape.Chunks(), patience)

    def _completion(
        self, model: ServedModel, request: dict[str, Any], patience: float
    ) -> AsyncGenerator[dict[str, Any]]:
        return self._stream("completions", model, request, completion_shape.Chunks(), patience)
