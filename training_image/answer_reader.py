"""A model's text taken apart as it comes: its thought, its answer, and the functions it calls.

The tags are those of Qwen, Hermes and SmolLM: `<think>...</think>`, then text, then
`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, any number of times; SmolLM writes a list of calls
between one pair of tags. (transformers' `ResponseParser` reads such texts too, but gives a call when it is
complete: clients are promised its arguments as they come.)
"""

from dataclasses import dataclass
from typing import Literal

from training_image.call_scanner import CallArguments, CallScanner, CallStart
from training_image.grammars import Thought

_Mode = Literal["start", "thought", "answer", "call"]
_FIRST: dict[Thought, _Mode] = {"none": "answer", "optional": "start", "open": "thought"}
_THINK, _THINK_END, _CALL = "<think>", "</think>", "<tool_call>"


@dataclass(frozen=True)
class Thinking:
    text: str


@dataclass(frozen=True)
class Content:
    text: str
    start: int
    """Its place in the text that was fed; it ends at `start + len(text)`."""


Part = Thinking | Content | CallStart | CallArguments


class AnswerReader:
    """Reads one completion. What may turn out to belong to a tag is kept back, and so is whitespace that may
    stand between an answer and a tag, where it belongs to neither.
    """

    def __init__(self, thought: Thought = "none", *, calls: bool = False) -> None:
        """`calls`: whether functions may be called; if not, `<tool_call>` is text like any other."""
        self._calls = calls
        self._mode = _FIRST[thought]
        self._after_tag = thought == "open"
        self._scanner = CallScanner(0)
        self._text = ""
        self._place = 0  # where `_text` begins in all that was fed
        self._thought_end = 0

    @property
    def thought_end(self) -> int | None:
        """Where the thought ends in the text, tag included; None as long as it goes on."""
        return None if self._mode == "thought" else self._thought_end

    def feed(self, text: str) -> list[Part]:
        self._text += text
        return self._read(final=False)

    def end(self) -> list[Part]:
        """What was kept back, when no more comes."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Part]:
        parts: list[Part] = []
        while True:
            mode = self._mode
            if mode == "start":
                self._begin(final)
            elif mode == "thought":
                self._think(parts, final)
            elif mode == "answer":
                self._answer(parts, final)
            else:
                self._call(parts)
            if self._mode == mode:
                return _joined(parts)

    def _begin(self, final: bool) -> None:
        text = self._text.lstrip()
        if text.startswith(_THINK):
            self._skip(len(self._text) - len(text) + len(_THINK))
            self._mode, self._after_tag = "thought", True
        elif final or not _THINK.startswith(text):
            self._mode = "answer"

    def _think(self, parts: list[Part], final: bool) -> None:
        text, ended = self._up_to(_THINK_END, final)
        if text:
            parts.append(Thinking(text))
        if ended:
            self._mode, self._after_tag, self._thought_end = "answer", True, self._place

    def _answer(self, parts: list[Part], final: bool) -> None:
        self._skip_whitespace()
        start = self._place
        if self._calls:
            text, ended = self._up_to(_CALL, final)
            if ended:
                self._mode, self._scanner = "call", CallScanner(self._scanner.index)
        else:
            text = self._skip(len(self._text))
        if text:
            parts.append(Content(text, start))

    def _call(self, parts: list[Part]) -> None:
        for taken, character in enumerate(self._text, start=1):
            parts += self._scanner.take(character)
            if self._scanner.is_over:
                self._skip(taken)
                raw = _CALL + self._scanner.raw
                if not self._scanner.found and self._scanner.raw.strip("[] \n") != "</tool_call>":
                    parts.append(Content(raw, self._place - len(raw)))  # it was no call, so it is text
                self._mode, self._after_tag = "answer", True
                return
        self._skip(len(self._text))

    def _up_to(self, tag: str, final: bool) -> tuple[str, bool]:
        """The text that is certain before `tag`, and whether the tag has come, which is skipped then."""
        self._skip_whitespace()
        place = self._text.find(tag)
        if place >= 0:
            text = self._skip(place).rstrip()
            self._skip(len(tag))
            return text, True
        if final:
            text = self._skip(len(self._text))
            return (text.rstrip() if self._scanner.index else text), False
        kept = next((n for n in range(len(tag) - 1, 0, -1) if self._text.endswith(tag[:n])), 0)
        return self._skip(len(self._text[: len(self._text) - kept].rstrip())), False

    def _skip_whitespace(self) -> None:
        if self._after_tag:
            self._skip(len(self._text) - len(self._text.lstrip()))
            self._after_tag = not self._text

    def _skip(self, count: int) -> str:
        skipped, self._text = self._text[:count], self._text[count:]
        self._place += count
        return skipped


def _joined(parts: list[Part]) -> list[Part]:
    """One part for the arguments that came at once."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, CallArguments) and isinstance(last, CallArguments) and part.index == last.index:
            joined[-1] = CallArguments(part.index, last.text + part.text)
        else:
            joined.append(part)
    return joined
