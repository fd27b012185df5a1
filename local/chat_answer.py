"""The answer to a chat request: what its completions say, in OpenAI's objects."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from local.chat_plan import ChatPlan
from local.completion_stream import CompletionStream
from local.inference_batches import Piece
from local.logprobs import TokenBytes, chat_logprob
from outcrop.ids import new_id, now
from outcrop.serving.chat_assembly import Assembly
from outcrop.types.chat import ChatRequest
from training_image.answer_reader import CallArguments, CallStart, Content, Part, Thinking
from training_image.sampling import Token


class ChatAnswer:
    """Use either `whole` or `chunks`, once."""

    def __init__(
        self, request: ChatRequest, plan: ChatPlan, completions: CompletionStream, token_bytes: TokenBytes
    ) -> None:
        self._request = request
        self._prompt_tokens = len(plan.prompt)
        self._completions = completions
        self._head = {"id": new_id("chatcmpl-"), "created": now(), "model": request.model}
        self._first = {"role": "assistant", "content": None if plan.must_call else "", "refusal": None}
        shown = token_bytes if request.logprobs else None
        self._choices = [_Choice(plan, shown) for _ in range(request.n or 1)]

    async def whole(self) -> dict[str, Any]:
        assembly = Assembly()
        async for chunk in self.chunks():
            assembly.add(chunk)
        answer = assembly.completion()
        for choice in answer["choices"]:
            message = choice["message"]
            if message["content"] is None and "tool_calls" not in message:
                message["content"] = ""  # null says that there is something else
        return answer | {"usage": self._usage()}

    async def chunks(self) -> AsyncGenerator[dict[str, Any]]:
        wants_usage = self._request.stream_options and self._request.stream_options.include_usage
        head = {**self._head, "object": "chat.completion.chunk"} | ({"usage": None} if wants_usage else {})
        for index in range(len(self._choices)):
            yield head | _choice(index, self._first)
        async with aclosing(self._completions.pieces()) as pieces:
            async for index, piece in pieces:
                choice = self._choices[index]
                for delta, logprobs in choice.take(piece):
                    yield head | _choice(index, delta, logprobs)
                if piece.finish_reason:
                    yield head | _choice(index, {}, finish_reason=choice.finish_reason(piece))
        if wants_usage:
            yield head | {"choices": [], "usage": self._usage()}

    def _usage(self) -> dict[str, Any]:
        completion_tokens = sum(choice.tokens for choice in self._choices)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self._prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": sum(choice.reasoning_tokens for choice in self._choices),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


class _Choice:
    """One completion: its pieces become deltas."""

    def __init__(self, plan: ChatPlan, token_bytes: TokenBytes | None) -> None:
        self._reader = plan.reader()
        self._token_bytes = token_bytes
        self._unplaced: deque[tuple[int, Token]] = deque()
        self._calls = False
        self._starts: list[int] = []  # where the tokens begin in the text
        self.tokens = 0

    @property
    def reasoning_tokens(self) -> int:
        end = self._reader.thought_end
        return self.tokens if end is None else sum(start < end for start in self._starts)

    def take(self, piece: Piece) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Deltas with the log-probabilities of their tokens."""
        parts = self._reader.feed(piece.text)
        if piece.finish_reason:
            parts += self._reader.end()
        self.tokens = piece.count
        self._starts += [start for start, _ in piece.tokens]
        self._unplaced.extend(piece.tokens if self._token_bytes else ())
        for part in parts:
            self._calls = self._calls or isinstance(part, CallStart)
            yield _delta(part), self._logprobs(part)

    def finish_reason(self, last: Piece) -> str | None:
        return "tool_calls" if self._calls and last.finish_reason == "stop" else last.finish_reason

    def _logprobs(self, part: Part) -> dict[str, Any] | None:
        """Those of the tokens that begin in this part, if it is content; the others' are not shown."""
        if not (self._token_bytes and isinstance(part, Content)):
            return None
        entries = []
        while self._unplaced and self._unplaced[0][0] < part.start + len(part.text):
            start, token = self._unplaced.popleft()
            if start >= part.start:
                entries.append(chat_logprob(token, self._token_bytes))
        return {"content": entries, "refusal": None}


def _delta(part: Part) -> dict[str, Any]:
    match part:
        case Content(text=text):
            return {"content": text}
        case Thinking(text=text):
            # The older name, DeepSeek's, and the newer one, OpenRouter's and vLLM's: clients read either.
            return {"reasoning_content": text, "reasoning": text}
        case CallStart(index=index, name=name):
            call = {"id": new_id("call_"), "type": "function", "function": {"name": name, "arguments": ""}}
            return {"tool_calls": [{"index": index, **call}]}
        case CallArguments(index=index, text=text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def _choice(
    index: int,
    delta: dict[str, Any],
    logprobs: dict[str, Any] | None = None,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    return {
        "choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}]
    }
