"""A model server's legacy completion in OpenAI's exact shape; `chat_shape` is its sibling for chat.

Both raise UnavailableError for an answer that makes no sense.
"""

from typing import Any

from outcrop.errors import UnavailableError
from outcrop.serving.answer_parts import checked, finish_reason, nonsense, usage
from outcrop.types.choice import COMPLETION_CHOICE

_LOGPROBS = ("text_offset", "token_logprobs", "tokens", "top_logprobs")


def whole(raw: Any) -> dict[str, Any]:
    """The `choices` and `usage` of a `text_completion`."""
    with nonsense():
        choices = [
            checked(COMPLETION_CHOICE, _choice(choice, finish_reason(choice.get("finish_reason")) or "stop"))
            for choice in raw["choices"]
        ]
        if not choices:
            raise ValueError("no choices")
        return {"choices": choices} | _rest(raw)


class Chunks:
    """One stream: the server's chunks go in one by one, OpenAI's come out, each choice's end by itself."""

    def __init__(self) -> None:
        self._over: dict[int, bool] = {}
        self._rest: dict[str, Any] = {}

    def add(self, raw: Any) -> list[dict[str, Any]]:
        with nonsense():
            self._rest |= _rest(raw)
            pieces = [piece for choice in raw["choices"] for piece in self._add(choice)]
            return [{"choices": [checked(COMPLETION_CHOICE, piece)]} for piece in pieces]

    def end(self) -> list[dict[str, Any]]:
        """What is left to say when the server has said its `[DONE]`; at last what stands beside the
        choices."""
        if not self._over:
            raise UnavailableError("The model server's answer is empty.")
        ends = [{"choices": [_end(index, "stop")]} for index, is_over in self._over.items() if not is_over]
        return [*ends, {"choices": []} | self._rest]

    def _add(self, raw: dict[str, Any]) -> list[dict[str, Any]]:
        index, reason = raw["index"], finish_reason(raw.get("finish_reason"))
        was_over = self._over.get(index, False)
        self._over[index] = was_over or reason is not None
        pieces = [_choice(raw, None)] if raw.get("text") or raw.get("logprobs") else []
        return [*pieces, _end(index, reason)] if reason and not was_over else pieces


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole that a stream's chunks add up to."""
    choices: dict[int, dict[str, Any]] = {}
    rest: dict[str, Any] = {}
    for chunk in chunks:
        rest |= {name: value for name, value in chunk.items() if name != "choices"}
        for piece in chunk["choices"]:
            whole = choices.setdefault(piece["index"], piece | {"text": "", "logprobs": None})
            whole["text"] += piece["text"]
            whole["finish_reason"] = piece["finish_reason"] or whole["finish_reason"]
            if piece["logprobs"]:
                known = whole["logprobs"] or {name: [] for name in _LOGPROBS}
                whole["logprobs"] = {name: known[name] + piece["logprobs"][name] for name in _LOGPROBS}
    return {"choices": [choices[index] for index in sorted(choices)]} | rest


def _choice(raw: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {
        "text": raw.get("text") or "",
        "index": raw["index"],
        "logprobs": _logprobs(raw.get("logprobs")),
        "finish_reason": reason,
    }


def _end(index: int, reason: str | None) -> dict[str, Any]:
    return {"text": "", "index": index, "logprobs": None, "finish_reason": reason}


def _logprobs(raw: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: raw.get(name) or [] for name in _LOGPROBS} if raw else None


def _rest(raw: dict[str, Any]) -> dict[str, Any]:
    return {"usage": usage(raw["usage"])} if raw.get("usage") else {}
