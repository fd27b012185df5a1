"""Completions in, rewards out: concurrent, in order, with every failure accounted for.

The trainer, `graders/run` and `outcrop graders test` all grade through here, so that the dry run is the run.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson

from outcrop.errors import APIError, UnavailableError
from outcrop.graders import opening
from outcrop.graders.reward import ErrorKind, GradedCompletion, GradingError, Outcome, Reward
from outcrop.types.grader import Grader

__all__ = ["ErrorKind", "GradedCompletion", "GraderPipeline", "Reward", "check"]

GRADER_PARAM = "method.reinforcement.grader"
"""Where a job has its grader; what is wrong with one is said to be there unless another place is named."""


@dataclass(frozen=True)
class _Waiting:
    completion: GradedCompletion
    reward: "Future[Reward]" = field(default_factory=Future)


class GraderPipeline:
    """Grades with one grader, `concurrency` calls at a time.

    A completion the grader fails on gets a Reward with `error` set; nothing is raised for it.
    `timeout_seconds` is the longest a call to the grader should take.
    """

    def __init__(
        self,
        grader: Grader,
        *,
        concurrency: int = 64,
        timeout_seconds: float = 60,
        backoff_seconds: float = 1.0,
        param: str = GRADER_PARAM,
    ) -> None:
        """Raises: APIError, about `param`, if the grader's definition cannot work."""
        try:
            self._grader = opening.open_grader(
                grader, opening.Calls(concurrency, timeout_seconds, backoff_seconds)
            )
        except GradingError as error:
            raise _refused(error, param) from error
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="grader")
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._in_flight = 0

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        """A reward per completion, in order. The same completion of the same item is graded once."""
        identities = [_identity(completion) for completion in completions]
        distinct = {identity: _Waiting(one) for identity, one in zip(identities, completions, strict=True)}
        self._enqueue(list(distinct.values()))
        return [distinct[identity].reward.result() for identity in identities]

    def submit(self, completion: GradedCompletion) -> "Future[Reward]":
        """For completions graded as they are finished, while others are still being generated."""
        waiting = _Waiting(completion)
        self._enqueue([waiting])
        return waiting.reward

    def close(self) -> None:
        """Gives up what still waits; its rewards are cancelled. Calls on their way are not waited for."""
        self._grader.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            abandoned, self._queue = self._queue, deque()
        for waiting in abandoned:
            waiting.reward.cancel()

    def _enqueue(self, waiting: list[_Waiting]) -> None:
        with self._lock:
            self._queue.extend(waiting)
        for _ in waiting:  # as many turns as completions; turns left over by batches find nothing to do
            self._pool.submit(self._turn)

    def _turn(self) -> None:
        with self._lock:
            batch = self._take()
            self._in_flight += len(batch)
        try:
            if batch:
                self._settle(batch)
        finally:
            with self._lock:
                self._in_flight -= len(batch)

    def _take(self) -> list[_Waiting]:
        """One call's fair share of all that is not graded yet: batches grow only when calls are scarce."""
        share = math.ceil((len(self._queue) + self._in_flight) / self._concurrency)
        count = min(share, self._grader.batch_limit, len(self._queue))
        taken = [self._queue.popleft() for _ in range(count)]
        return [waiting for waiting in taken if waiting.reward.set_running_or_notify_cancel()]

    def _settle(self, batch: list[_Waiting]) -> None:
        started = time.monotonic()
        outcomes: list[Outcome]
        try:
            outcomes = self._grader.grade([waiting.completion for waiting in batch])
        except Exception as error:  # a grader may fail in any way; whoever waits gets an answer
            outcomes = [GradingError("other_error", f"{type(error).__name__}: {error}")] * len(batch)
        seconds = time.monotonic() - started
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.reward.set_result(_reward(outcome, seconds))


def check(grader: Grader, *, param: str = GRADER_PARAM) -> None:
    """Refuse a grader that no job could work with, before the job is made.

    Raises: APIError, about `param` or a field of it, for a definition that cannot work; UnavailableError if
    Lambda cannot be asked now.
    """
    try:
        opening.check(grader)
    except GradingError as error:
        raise _refused(error, param) from error


def _reward(outcome: Outcome, seconds: float) -> Reward:
    if isinstance(outcome, GradingError):
        return Reward(None, outcome.kind, outcome.message, outcome.metrics, seconds, outcome.tokens)
    return Reward(outcome.reward, None, None, outcome.metrics, seconds, outcome.tokens, outcome.explanation)


def _identity(completion: GradedCompletion) -> tuple[bytes, str]:
    return orjson.dumps(completion.item, option=orjson.OPT_SORT_KEYS), completion.text


def _refused(error: GradingError, param: str) -> APIError:
    field = f"{param}.{error.field}".strip(".")
    if error.kind in ("grader_throttled", "grader_timeout", "grader_unavailable"):
        return UnavailableError(f"{field}: {error.message}", param=field)
    return APIError(f"{field}: {error.message}", param=field, code=error.kind)
