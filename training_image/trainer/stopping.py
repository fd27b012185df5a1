"""SIGTERM, and what it ends at once: SIGKILL follows 120 seconds later, however long a grader or a completion
takes.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(BaseException):
    """What was under way is given up. No error: whoever catches every `Exception` lets it pass."""


class Stop(threading.Event):
    """Set by SIGTERM, and asked after every step."""

    def __init__(self) -> None:
        super().__init__()
        self._interrupts = False

    def on_signal(self, *_: object) -> None:
        self.set()
        if self._interrupts:
            raise Interrupted

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """What is done in here can be given up at any point: Interrupted is raised there, also where a lock,
        a socket or a sleep is waited for. In the main thread alone, which is where signals are handled."""
        self._interrupts = True
        try:
            if self.is_set():
                raise Interrupted
            yield
        finally:
            self._interrupts = False


def heeding_sigterm() -> Stop:
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.on_signal)
    return stop
