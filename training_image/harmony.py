"""A completion of GPT-OSS taken apart as it comes: what it thinks, what it says, which functions it calls.

The format is OpenAI's "harmony", messages in channels: `<|channel|>analysis<|message|>...<|end|>` for
thoughts, `final` for the answer, `commentary to=functions.NAME` for a call (https://github.com/openai/harmony).
"""

import re
from typing import Literal

from training_image.answer_reader import Content, Part, Thinking
from training_image.call_scanner import CallArguments, CallStart

CHANNEL = "<|channel|>"
"""Occurs in the chat templates of models that speak so."""

_MESSAGE = "<|message|>"
_ENDS = ("<|end|>", "<|return|>", "<|call|>", "<|start|>")
"""Of a message; the last one begins another without an end."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_FUNCTION = re.compile(r"\bto=functions\.([\w.-]+)")


class ChannelReader:
    """Reads one completion, decoded with its special tokens, which follows the prompt's `<|start|>assistant`.
    One without any channel is taken for an answer.
    """

    def __init__(self) -> None:
        self._text = ""
        self._place = 0  # where `_text` begins in all that was fed
        self._message: Literal["none", "thought", "answer", "call"] = "none"
        self._calls = 0
        self._thought_end: int | None = None

    @property
    def thought_end(self) -> int | None:
        """Where an answer or a call begins in the text; None as long as there is none."""
        return self._thought_end

    def feed(self, text: str) -> list[Part]:
        self._text += text
        return self._read(final=False)

    def end(self) -> list[Part]:
        """What was kept back, when no more comes."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Part]:
        parts: list[Part] = []
        while self._text:
            start = self._place
            if self._message != "none":
                text, ended = self._body(final)
                parts += self._parts(text, start)
                if not ended:
                    break
                self._message = "none"
            elif (place := self._text.find(_MESSAGE)) >= 0:
                head = self._skip(place)
                self._skip(len(_MESSAGE))
                parts += self._begin(head)
            else:
                if final and not self._place and CHANNEL not in self._text:
                    self._message, self._thought_end = "answer", 0
                    parts += self._parts(self._skip(len(self._text)), start)
                break
        return parts

    def _begin(self, head: str) -> list[Part]:
        channel, function = _CHANNEL.search(head), _FUNCTION.search(head)
        if not function and channel and channel[1] != "final":
            self._message = "thought"
            return []
        if self._thought_end is None:
            self._thought_end = self._place
        if not function:
            self._message = "answer"
            return []
        self._message = "call"
        self._calls += 1
        return [CallStart(self._calls - 1, function[1])]

    def _parts(self, text: str, start: int) -> list[Part]:
        match self._message:
            case _ if not text:
                return []
            case "call":
                return [CallArguments(self._calls - 1, text)]
            case "answer":
                return [Content(text, start)]
            case _:
                return [Thinking(text)]

    def _body(self, final: bool) -> tuple[str, bool]:
        """What is certain of the message, and whether it has ended."""
        found = [(place, mark) for mark in _ENDS if (place := self._text.find(mark)) >= 0]
        if found:
            place, mark = min(found)
            text = self._skip(place)
            self._skip(len(mark))
            return text, True
        kept = 0 if final else self._beginning_of_end()
        return self._skip(len(self._text) - kept), False

    def _beginning_of_end(self) -> int:
        """How many characters at the end of the text may turn out to begin a mark."""
        lengths = range(min(len(self._text), max(map(len, _ENDS)) - 1), 0, -1)
        return next((n for n in lengths if any(mark.startswith(self._text[-n:]) for mark in _ENDS)), 0)

    def _skip(self, count: int) -> str:
        skipped, self._text = self._text[:count], self._text[count:]
        self._place += count
        return skipped
