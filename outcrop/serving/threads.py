"""Threads for calls that block, as boto3's do, from code that waits for many at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_MOST = 128

Made = TypeVar("Made")


class Threads:
    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix=name)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], Made], undo: Callable[[Made], None] | None = None) -> Made:
        """`work` in a thread. When nobody waits for it any more, it is undone when it is done."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if undo:
                running.add_done_callback(lambda done: _undone(done, undo))
            raise


def _undone(done: "asyncio.Future[Made]", undo: Callable[[Made], None]) -> None:
    if not done.cancelled() and not done.exception():
        undo(done.result())
