"""Completions on their way back: the pieces that the model's thread delivers become OpenAI's objects."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from local.inference_batches import Piece, Row
from outcrop.errors import APIError
from outcrop.ids import new_id, now
from outcrop.types.chat import ChatRequest


class ChatAnswer:
    """The answer to one request: its `n` completions. Use either `whole` or `chunks`, once.

    The model writes from the moment one of them is started until it ends or is given up.
    """

    def __init__(
        self, request: ChatRequest, prompt_tokens: int, submit: Callable[[Sequence[Row]], None]
    ) -> None:
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._delivered: asyncio.Queue[tuple[int, Piece | APIError]] = asyncio.Queue()
        self._head = {"id": new_id("chatcmpl-"), "created": now(), "model": request.model}
        self.rows: list[Row] = []

    def deliver(self, index: int, piece: Piece | APIError) -> None:
        """Called in the model's thread."""
        self._loop.call_soon_threadsafe(self._delivered.put_nowait, (index, piece))

    async def whole(self) -> dict[str, Any]:
        texts = [""] * len(self.rows)
        ends = [Piece("", 0, None)] * len(self.rows)
        async for index, piece in self._pieces():
            texts[index] += piece.text
            ends[index] = piece
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": end.finish_reason,
            }
            for index, (text, end) in enumerate(zip(texts, ends, strict=True))
        ]
        usage = self._usage(ends)
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": usage}

    async def chunks(self) -> AsyncGenerator[dict[str, Any]]:
        wants_usage = self._request.stream_options and self._request.stream_options.include_usage
        head = {**self._head, "object": "chat.completion.chunk"} | ({"usage": None} if wants_usage else {})
        ends = [Piece("", 0, None)] * len(self.rows)
        for index in range(len(self.rows)):
            yield head | _choice(index, {"role": "assistant", "content": "", "refusal": None})
        async for index, piece in self._pieces():
            ends[index] = piece
            if piece.text:
                yield head | _choice(index, {"content": piece.text})
            if piece.finish_reason:
                yield head | _choice(index, {}, piece.finish_reason)
        if wants_usage:
            yield head | {"choices": [], "usage": self._usage(ends)}

    async def _pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """Each piece with its completion's index, until all completions have ended."""
        unfinished = len(self.rows)
        with self._being_written():
            while unfinished:
                index, piece = await self._delivered.get()
                if isinstance(piece, APIError):
                    raise piece
                unfinished -= piece.finish_reason is not None
                yield index, piece

    @contextmanager
    def _being_written(self) -> Iterator[None]:
        self._submit(self.rows)
        try:
            yield
        finally:
            for row in self.rows:
                row.is_over = True

    def _usage(self, ends: Sequence[Piece]) -> dict[str, int]:
        completion_tokens = sum(end.tokens for end in ends)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self._prompt_tokens + completion_tokens,
        }


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}
