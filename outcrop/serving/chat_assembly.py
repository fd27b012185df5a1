"""The completion that a stream's chunks add up to."""

from typing import Any

_JOINED = ("content", "refusal", "reasoning", "reasoning_content")


class Assembly:
    """Takes the chunks of one stream as their reader gets them, OpenAI's order and shape presumed."""

    def __init__(self) -> None:
        self._rest: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        rest = {name: value for name, value in chunk.items() if name != "choices"}
        self._rest |= {name: value for name, value in rest.items() if value is not None}
        for choice in chunk["choices"]:
            self._add(choice)

    def completion(self) -> dict[str, Any]:
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            message = choice["message"]
            if message["content"] is None and not message.keys() & {"tool_calls", "function_call"}:
                message["content"] = ""  # the model said nothing, which is not the same as calling a tool
        return self._rest | {"object": "chat.completion", "choices": choices}

    def _add(self, piece: dict[str, Any]) -> None:
        choice = self._choices.setdefault(
            piece["index"],
            {
                "index": piece["index"],
                "message": {"role": "assistant", "content": None, "refusal": None},
                "logprobs": None,
                "finish_reason": None,
            },
        )
        choice["finish_reason"] = piece["finish_reason"] or choice["finish_reason"]
        if piece["logprobs"]:
            choice["logprobs"] = choice["logprobs"] or {"content": [], "refusal": None}
            choice["logprobs"]["content"] += piece["logprobs"]["content"]
        _join(choice["message"], piece["delta"])


def _join(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in _JOINED:
        if delta.get(name):
            message[name] = (message.get(name) or "") + delta[name]
    if call := delta.get("function_call"):
        so_far = message.setdefault("function_call", {"name": "", "arguments": ""})
        _join_function(so_far, call)
    for call in delta.get("tool_calls", ()):
        calls = message.setdefault("tool_calls", [])
        if "id" in call:
            calls.append({"id": call["id"], "type": "function", "function": {"name": "", "arguments": ""}})
        _join_function(calls[call["index"]]["function"], call["function"])


def _join_function(function: dict[str, str], piece: dict[str, str]) -> None:
    for name, text in piece.items():
        function[name] += text
