"""What the sandbox's tests have in common: the real handler, called as Lambda calls it."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from lambdas.sandbox.handler import handler

TIME_LEFT_MS = 300_000


def grade(
    source: str, *items: dict[str, Any], seconds: float = 20, time_left_ms: int = TIME_LEFT_MS
) -> list[dict[str, Any]]:
    """An outcome per item."""
    return answer(source, items or ({},), seconds, time_left_ms)["outcomes"]


def answer(
    source: str, items: Sequence[dict[str, Any]], seconds: float = 20, time_left_ms: int = TIME_LEFT_MS
) -> dict[str, Any]:
    completions = [{"item": item, "sample": {"output_text": "hello", "choices": []}} for item in items]
    return run({"source": source, "completions": completions, "seconds": seconds}, None, time_left_ms)


def run(event: dict[str, Any], _: Any, time_left_ms: int = TIME_LEFT_MS) -> dict[str, Any]:
    return handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: time_left_ms))


def body(program: str) -> str:
    """A source whose `grade` does `program`."""
    return "def grade(sample, item):\n" + "".join(f"    {line}\n" for line in program.splitlines())
