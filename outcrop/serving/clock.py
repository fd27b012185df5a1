"""The time that a cold start takes, which tests let pass faster."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    now: Callable[[], float] = time.time
    """Unix time: those who wait for the same thing are in several processes."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
