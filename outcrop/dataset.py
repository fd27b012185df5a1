"""Training rows: JSON Lines, each line an object with `messages` and any other keys.

The conversation is the prompt that the policy answers, so it ends with a user's (or a tool's) turn. All other
keys belong to the customer and reach the grader as `item`. The rules are those of OpenAI's guide to
reinforcement fine-tuning.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from outcrop.errors import APIError
from outcrop.types.chat import Tool
from outcrop.types.chat_message import ToolCall

MAX_ROWS = 50_000
MAX_LINE_BYTES = 2 * 2**20
"""A row takes up to thirty times as much memory as its text."""
_REPORTED_LINES = 5
_TOOLS = TypeAdapter(list[Tool] | None)
_TOOL_CALLS = TypeAdapter(list[ToolCall] | None)

RowCheck = Callable[[dict[str, Any]], str | None]
"""What else is wrong with a row, in words that go on from "line 12 "."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_LAST_ROLES = ("user", "tool")


class DatasetError(APIError):
    """A file that cannot be trained on. The message names its first bad lines and what is wrong with each."""

    code = "invalid_file_format"


def read(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """All rows. Raises: DatasetError."""
    return list(_checked(lines))


def count(lines: Iterable[bytes], check: RowCheck | None = None) -> int:
    """How many rows there are, without keeping them in memory. Raises: DatasetError, also for rows that
    `check` finds fault with."""
    return sum(1 for _ in _checked(lines, check))


def first_rows(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The good rows with the numbers of their lines; the others are passed over. Raises: DatasetError for a
    file that is not UTF-8."""
    for number, row in _numbered(lines):
        if not isinstance(row, ValueError):
            yield number, row


def _checked(lines: Iterable[bytes], check: RowCheck | None = None) -> Iterator[dict[str, Any]]:
    """The good rows; after the last line, or the fifth bad one, a DatasetError if any was bad."""
    problems: list[str] = []
    rows = 0
    for rows, (number, row) in enumerate(_numbered(lines), start=1):
        if rows > MAX_ROWS:
            raise DatasetError(f"the file has more than {MAX_ROWS:,} rows.")
        problem = str(row) if isinstance(row, ValueError) else check and check(row)
        if problem:
            problems.append(f"line {number} {problem}")
            if len(problems) == _REPORTED_LINES:
                break
        elif not isinstance(row, ValueError):
            yield row
    if problems:
        raise DatasetError("; ".join(problems) + ".")
    if not rows:
        raise DatasetError("the file is empty.")


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Every row with the number of its line, or what is wrong with it."""
    for number, line in enumerate(lines, start=1):
        if number == 1:
            line = _without_byte_order_mark(line)
        if not line.strip():
            continue
        try:
            yield number, _row(line)
        except ValueError as error:
            yield number, error


def _without_byte_order_mark(line: bytes) -> bytes:
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DatasetError("the file is UTF-16; it must be UTF-8.")
    return line.removeprefix(codecs.BOM_UTF8)


def _row(line: bytes) -> dict[str, Any]:
    """One parsed row. Raises: ValueError, whose text continues the words "line 12 "."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"is longer than {MAX_LINE_BYTES // 2**20} MiB")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start + 1})") from None
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at column {error.colno})") from None
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object")
    if "messages" not in row:
        raise ValueError("has no 'messages'")
    _check(_TOOLS, row.get("tools"), "tools")
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        raise ValueError("has 'messages' that is not a non-empty list")
    for position, message in enumerate(messages):
        _check_message(message, f"messages[{position}]")
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        raise ValueError("has no message with role 'user'")
    if roles[-1] not in _LAST_ROLES:
        raise ValueError(
            f"ends with a message of role '{roles[-1]}'; the last one must be from 'user' or 'tool'"
        )
    return row


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise ValueError(f"has {where} that is not an object")
    if message.get("role") not in _ROLES:
        raise ValueError(f"has {where}.role that is none of {', '.join(_ROLES)}")
    _check(_TOOL_CALLS, message.get("tool_calls"), f"{where}.tool_calls")
    content = message.get("content")
    if content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return
    parts = content if isinstance(content, list) and content else [{"type": "text", "text": content}]
    for part in parts:
        is_text = isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        if not is_text:
            raise ValueError(f"has {where}.content that is neither text nor a list of text parts")


def _check(form: TypeAdapter[Any], value: Any, where: str) -> None:
    try:
        form.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise ValueError(f"has {where}{place} that is not as in a chat request: {first['msg']}") from None
