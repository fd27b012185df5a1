"""Time that passes when everybody waits for it: hours of waiting in milliseconds."""

import asyncio
import threading

from outcrop.serving.clock import Clock

_NAP_SECONDS = 0.001


class FakeClock:
    """Whoever sleeps until the earliest moment takes the time there; the others find it later."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.time = start
        self.crowd = 1
        """How many there are that wait: time passes when all of them do."""
        self._wakes: list[float] = []
        self._lock = threading.Lock()

    @property
    def clock(self) -> Clock:
        return Clock(now=self.now, sleep=self.sleep)

    def now(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        with self._lock:
            self.time += seconds

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        with self._lock:
            self._wakes.append(until)
        try:
            while True:
                await asyncio.sleep(_NAP_SECONDS)
                with self._lock:
                    if min(self._wakes) >= until and len(self._wakes) >= self.crowd:
                        self.time = max(self.time, until)
                    if self.time >= until:
                        return
        finally:
            with self._lock:
                self._wakes.remove(until)
