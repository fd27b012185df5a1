"""A completion of GPT-OSS taken apart: what it says and which functions it calls, without what it thinks.

The format is OpenAI's "harmony", messages in channels: `<|channel|>analysis<|message|>...<|end|>` for
thoughts, `final` for the answer, `commentary to=functions.NAME` for a call (https://github.com/openai/harmony).
"""

import re
from typing import Any

CHANNEL = "<|channel|>"
"""Occurs in the chat templates of models that speak so."""

_MESSAGE = re.compile(
    r"(?P<head>.*?)<\|message\|>(?P<text>.*?)(?:<\|(?:end|return|call)\|>|(?=<\|start\|>)|\Z)", re.DOTALL
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_FUNCTION = re.compile(r"\bto=functions\.([\w.-]+)")


def read(text: str) -> tuple[str, list[dict[str, Any]]]:
    """What the completion says in its final channel, and its calls as a message of the chat API has them.

    `text` is decoded with its special tokens and follows the prompt's `<|start|>assistant`. One without any
    channel is taken for an answer.
    """
    if "<|message|>" not in text:
        return ("", []) if CHANNEL in text else (text, [])
    said: list[str] = []
    calls: list[dict[str, Any]] = []
    for message in _MESSAGE.finditer(text):
        channel, function = _CHANNEL.search(message["head"]), _FUNCTION.search(message["head"])
        if function:
            called = {"name": function[1], "arguments": message["text"]}
            calls.append({"id": f"call_{len(calls)}", "type": "function", "function": called})
        elif channel is None or channel[1] == "final":
            said.append(message["text"])
    return "".join(said), calls
