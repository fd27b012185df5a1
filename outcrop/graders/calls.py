"""Calls to graders that are not computed here: how they are made, and how they are made again."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from outcrop.graders.reward import GradingError

_LONGEST_WAIT_SECONDS = 8.0

T = TypeVar("T")


@dataclass(frozen=True)
class Calls:
    concurrency: int = 1
    timeout_seconds: float = 60
    """The longest a call should take."""
    backoff_seconds: float = 1.0
    project: str = ""
    """For whom: the sandbox keeps those of one project apart from all others."""


class Retries:
    """Calls that fail for a passing reason are made again, after random waits of up to 1, 2, 4 ... times
    `backoff_seconds` ("full jitter"). For many threads at a time."""

    def __init__(self, backoff_seconds: float) -> None:
        self._backoff_seconds = backoff_seconds
        self._closed = threading.Event()

    def close(self) -> None:
        """Wakes up those who wait to try again; they give up."""
        self._closed.set()

    def call(self, attempt: Callable[[], T], times: Callable[[GradingError], int]) -> T:
        """`times` says how often a call that failed this way is made again.

        Raises: GradingError, the last attempt's.
        """
        made = 0
        while True:
            try:
                return attempt()
            except GradingError as error:
                if made >= times(error) or self._closed.wait(self._jitter(made)):
                    raise
                made += 1

    def _jitter(self, made: int) -> float:
        longest = min(_LONGEST_WAIT_SECONDS, self._backoff_seconds * 2**made)
        return random.uniform(0, longest)  # noqa: S311 (spreads calls, guards nothing)
