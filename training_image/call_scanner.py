"""The calls between `<tool_call>` and `</tool_call>`: JSON read character by character.

A call is told when its name is known, and its arguments as they come, in the model's own spelling.
"""

import json
from dataclasses import dataclass
from typing import Literal

CALL_END = "</tool_call>"


@dataclass(frozen=True)
class CallStart:
    index: int
    name: str


@dataclass(frozen=True)
class CallArguments:
    index: int
    text: str


class CallScanner:
    """Reads what one pair of tags holds: an object, several, or a list of them.

    A tag inside a JSON string is text. What is no such JSON is passed over; `found` says whether any call was
    read at all.
    """

    def __init__(self, index: int) -> None:
        """`index`: of the first call."""
        self.index = index
        self.found = False
        self.is_over = False
        self.raw = ""
        """All that was taken, the closing tag included."""
        self._state: Literal["outside", "object", "key", "colon", "value", "broken"] = "outside"
        self._new_object()

    def take(self, character: str) -> list[CallStart | CallArguments]:
        self.raw += character
        match self._state:
            case "outside" | "broken":
                if character == "{" and self._state == "outside":
                    self._new_object()
                    self._state = "object"
                self.is_over = self.raw.endswith(CALL_END)
            case "object":
                return self._in_object(character)
            case "key":
                self._key += character
                if self._ends_string(character):
                    self._key, self._state = _text(self._key), "colon"
            case "colon":
                if character == ":":
                    self._state, self._value, self._depth = "value", "", 0
                elif not character.isspace():
                    self._break_off()
            case "value":
                return self._in_value(character)
        return []

    def _new_object(self) -> None:
        self._name: str | None = None
        self._unsent = ""  # arguments that came before the name
        self._has_arguments = False
        self._key = self._value = ""
        self._depth = 0
        self._in_string = self._escaped = False

    def _in_object(self, character: str) -> list[CallStart | CallArguments]:
        if character == '"':
            self._state, self._key = "key", character
            self._in_string, self._escaped = True, False
        elif character == "}":
            self._state = "outside"
            if self._name is not None:
                rest = [] if self._has_arguments else self._arguments("{}")
                self.index += 1
                return rest
        elif not (character.isspace() or character == ","):
            self._break_off()
        return []

    def _break_off(self) -> None:
        self._state = "broken"
        self.index += self._name is not None

    def _in_value(self, character: str) -> list[CallStart | CallArguments]:
        if not self._value and character.isspace():
            return []
        if self._depth == 0 and not self._in_string and self._value and character in ",}] \n\t\r":
            ended = self._end_value()  # of a number or a word, which ends where something else begins
            return ended + self._in_object(character)
        self._value += character
        streams = self._key in ("arguments", "parameters") and self._value[0] in "{["
        sent = self._arguments(character) if streams else []
        if self._in_string:
            if self._ends_string(character) and self._depth == 0:
                return sent + self._end_value()
        elif character == '"':
            self._in_string, self._escaped = True, False
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            if self._depth == 0:
                return sent + self._end_value()
        return sent

    def _end_value(self) -> list[CallStart | CallArguments]:
        self._state = "object"
        value = self._value
        if self._key == "name" and value.startswith('"') and self._name is None:
            self._name, self.found = _text(value), True
            unsent = [CallArguments(self.index, self._unsent)] if self._unsent else []
            return [CallStart(self.index, self._name), *unsent]
        if self._key in ("arguments", "parameters") and value[0] not in "{[":
            # Some models write the arguments as a string that holds JSON, or null for none.
            return self._arguments("{}" if value == "null" else _text(value))
        return []

    def _arguments(self, text: str) -> list[CallStart | CallArguments]:
        self._has_arguments = True
        if self._name is None:
            self._unsent += text
            return []
        return [CallArguments(self.index, text)]

    def _ends_string(self, character: str) -> bool:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
            return True
        return False


def _text(value: str) -> str:
    """What a JSON string says; anything else as it is."""
    try:
        text = json.loads(value, strict=False)
    except ValueError:
        return value
    return text if isinstance(text, str) else value
