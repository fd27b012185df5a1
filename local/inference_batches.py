"""Requests that wait for the same model are answered together, in one call of the model.

On a CPU a step for 32 completions takes little longer than one for a single completion, so a client that asks
32 questions at once has 32 answers in the time of the longest. A batch runs to its end; what arrives
meanwhile is the next one.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from local.completion_text import CompletionText
from outcrop.errors import APIError, UnavailableError

MAX_ROWS = 32
MAX_BATCH_TOKENS = 16_384
"""Rows times tokens of the longest: bounds the memory of a batch of long conversations."""
GATHER_SECONDS = 0.02
"""Requests of one burst arrive within this time of each other."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """What one step adds to a completion."""

    text: str
    tokens: int
    """Tokens of the completion so far, without the one that ended it."""
    finish_reason: Literal["stop", "length"] | None


@dataclass(eq=False)
class Row:
    """One completion being written. `deliver` is called in the batch's thread."""

    base: str
    adapter: Path | None
    prompt: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    text: CompletionText
    deliver: Callable[[Piece | APIError], None]
    is_over: bool = False
    """Finished, or set by a caller who no longer wants it."""
    _count: int = field(default=0, init=False)

    @property
    def tokens(self) -> int:
        return len(self.prompt) + self.max_tokens

    def step(self, token: int | None) -> None:
        """Take the next token; None says that the model has ended the completion."""
        if self.is_over:
            return
        if token is None:
            self._deliver(self.text.end(), "stop")
            return
        self._count += 1
        text = self.text.add(token)
        if self.text.is_stopped:
            self._deliver(text, "stop")
        elif self._count == self.max_tokens:
            self._deliver(text + self.text.end(), "length")
        elif text:
            self._deliver(text, None)

    def fail(self, error: APIError) -> None:
        if not self.is_over:
            self.is_over = True
            self.deliver(error)

    def _deliver(self, text: str, finish_reason: Literal["stop", "length"] | None) -> None:
        self.is_over = finish_reason is not None
        self.deliver(Piece(text, self._count, finish_reason))


OnStep = Callable[[list[int | None]], bool]
Generate = Callable[[Sequence[Row], OnStep], object]
"""Runs the model on rows of one model, calls back with each step's tokens, and ends early when told False."""


class Batches:
    """The queue, and the one thread that works it off: a model is never used by two at a time."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate
        self._waiting: deque[Row] = deque()
        self._arrived = threading.Condition()

    def submit(self, rows: Sequence[Row]) -> None:
        with self._arrived:
            self._waiting.extend(rows)
            self._arrived.notify()

    def work(self) -> None:
        """The body of the thread; never returns."""
        while True:
            batch = self._next()
            if batch:
                self._run(batch)

    def _next(self) -> list[Row]:
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting)
        time.sleep(GATHER_SECONDS)
        with self._arrived:
            wanted = [row for row in self._waiting if not row.is_over]
            batch: list[Row] = []
            for row in wanted:
                same_model = (row.base, row.adapter) == (wanted[0].base, wanted[0].adapter)
                longest = max(one.tokens for one in [*batch, row])
                if same_model and len(batch) < MAX_ROWS and longest * (len(batch) + 1) <= MAX_BATCH_TOKENS:
                    batch.append(row)
            batch = batch or wanted[:1]
            self._waiting = deque(row for row in wanted if row not in batch)
        return batch

    def _run(self, batch: list[Row]) -> None:
        def on_step(tokens: list[int | None]) -> bool:
            for row, token in zip(batch, tokens, strict=True):
                row.step(token)
            return not all(row.is_over for row in batch)

        try:
            self._generate(batch, on_step)
        except APIError as error:
            for row in batch:
                row.fail(error)
        except (
            Exception
        ) as error:  # out of memory, a broken adapter: each caller is told, the server lives on
            _logger.exception("generation failed")
            for row in batch:
                row.fail(
                    UnavailableError(f"The model failed while it was answering ({type(error).__name__}).")
                )
