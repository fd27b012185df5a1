"""Who is graded when: calls to an open grader, so many at a time, until everyone has a reward or a reason.

Every completion ends with exactly one of the two, whatever the grader does: raises, answers too few, never
returns, or is closed. Whoever waits for rewards also watches the clock, so nothing is left waiting.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from outcrop.graders.reward import (
    ErrorKind,
    GradedCompletion,
    Grades,
    GradingError,
    Outcome,
    Reward,
    Score,
    real_number,
)

_FEWEST_SILENT = 16
"""Calls in a row without an answer before a grader is taken to hang; no fewer than run at a time."""
_SILENCE: Final[frozenset[ErrorKind]] = frozenset({"grader_timeout", "model_grader_server_error"})
"""What a grader's call, or a judge's, ends with that was not answered in time."""


@dataclass(eq=False)
class _Waiting:
    completion: GradedCompletion
    reward: Reward | None = None

    def settle(self, outcome: Outcome, seconds: float) -> None:
        """The first outcome counts: an answer that comes after its call was given up is none."""
        if self.reward is None:
            self.reward = _reward(outcome, seconds)


@dataclass(eq=False)
class _Call:
    batch: list[_Waiting]
    began: float
    is_given_up: bool = False


class Round:
    """Completions of which equal ones are graded once: those of one training step, or of one evaluation."""

    def __init__(self, dispatcher: "Dispatcher") -> None:
        self._dispatcher = dispatcher
        self._waiting: dict[bytes, _Waiting] = {}

    def submit(self, completions: Iterable[GradedCompletion]) -> None:
        """Have them graded from now on, while others are still being generated. Their rewards are asked for
        by `grade`."""
        self._entered(completions)

    def grade(self, completions: Iterable[GradedCompletion]) -> list[Reward]:
        """A reward per completion, in order. One that was submitted is waited for, not graded again."""
        return self._dispatcher.wait(self._entered(completions))

    def _entered(self, completions: Iterable[GradedCompletion]) -> list[_Waiting]:
        entered, new = [], []
        for completion in completions:
            identity = _identity(completion)
            if identity not in self._waiting:
                self._waiting[identity] = _Waiting(completion)
                new.append(self._waiting[identity])
            entered.append(self._waiting[identity])
        self._dispatcher.enter(new)
        return entered


class Dispatcher:
    """Calls `grader` from up to `concurrency` threads.

    What a call has not answered after `patience_seconds` has no reward. The call itself cannot be ended, so
    it keeps its place among the `concurrency`; when no place is left, nobody is kept waiting for one. Nor is
    one wave of calls after the other waited for when the grader hangs: once as many in a row as run at a time
    had no answer, all others have no reward either, and whoever asks next tries anew.
    """

    def __init__(self, grader: Grades, *, concurrency: int, patience_seconds: float) -> None:
        self._grader = grader
        self._concurrency = concurrency
        self._patience_seconds = patience_seconds
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._calls: set[_Call] = set()
        self._is_closed = False
        self._unanswered: list[GradingError] = []
        """Of the latest calls, one of each that ended so, since rewards were last asked for."""

    def enter(self, waiting: Sequence[_Waiting]) -> None:
        with self._changed:
            self._queue.extend(waiting)
            if self._is_closed:
                self._dismiss(_CLOSED)
            while call := self._next_call():  # daemons: a grader that never returns does not keep the process
                threading.Thread(target=self._work, args=(call,), name="grader", daemon=True).start()

    def wait(self, waiting: Sequence[_Waiting]) -> list[Reward]:
        with self._changed:
            left = waiting
            while left := [one for one in left if one.reward is None]:
                next_look = self._give_up_what_is_overdue()
                if any(one.reward is None for one in left):
                    self._changed.wait(next_look)
            self._unanswered = []
        return [one.reward for one in waiting if one.reward is not None]

    def close(self) -> None:
        """What still waits for its turn gets no reward; calls on their way are not waited for."""
        with self._changed:
            self._is_closed = True
            self._dismiss(_CLOSED)
        self._grader.close()

    def _work(self, first: _Call) -> None:
        call: _Call | None = first
        while call:
            outcomes = self._ask([one.completion for one in call.batch])
            seconds = time.monotonic() - call.began
            with self._changed:
                for one, outcome in zip(call.batch, outcomes, strict=True):
                    one.settle(outcome, seconds)
                self._calls.remove(call)
                self._note(outcomes)
                call = self._next_call()
                self._changed.notify_all()

    def _ask(self, completions: Sequence[GradedCompletion]) -> Sequence[Outcome]:
        """An outcome per completion, even if the grader has none."""
        try:
            outcomes = self._grader.grade(completions)
            if len(outcomes) == len(completions):
                return outcomes
            message = f"The grader gave {len(outcomes)} outcomes for {len(completions)} completions."
            error = GradingError("missing_reward", message)
        except GradingError as raised:
            error = raised
        except BaseException as raised:  # SystemExit too: it would end this thread and leave others waiting
            error = GradingError("other_error", f"{type(raised).__name__}: {raised}")
        return [error] * len(completions)

    def _next_call(self) -> _Call | None:
        """One call's fair share of all that is not graded yet: batches grow only when calls are scarce, so
        what trickles in during generation is graded at once, and a crowd is spread evenly."""
        if self._hangs:
            self._give_up_all()
        if not self._queue or len(self._calls) >= self._concurrency:
            return None
        under_way = sum(len(call.batch) for call in self._calls if not call.is_given_up)
        share = math.ceil((len(self._queue) + under_way) / self._concurrency)
        count = min(share, max(1, self._grader.batch_limit), len(self._queue))
        call = _Call([self._queue.popleft() for _ in range(count)], time.monotonic())
        self._calls.add(call)
        return call

    def _give_up_what_is_overdue(self) -> float | None:
        """Seconds until there may be more to give up."""
        now = time.monotonic()
        for call in self._calls:
            if not call.is_given_up and now - call.began >= self._patience_seconds:
                call.is_given_up = True
                message = f"The grader did not answer within {self._patience_seconds:g} s."
                for one in call.batch:
                    one.settle(GradingError("grader_timeout", message), now - call.began)
        going = [call.began for call in self._calls if not call.is_given_up]
        if going:
            return max(0.0, min(going) + self._patience_seconds - now)
        if self._queue:
            self._dismiss(
                GradingError(
                    "grader_timeout",
                    f"The grader has not answered any of {len(self._calls)} calls within "
                    f"{self._patience_seconds:g} s, and is not called more often at a time.",
                )
            )
        return None

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        errors = [one for one in outcomes if isinstance(one, GradingError) and one.kind in _SILENCE]
        self._unanswered = [*self._unanswered, errors[0]] if len(errors) == len(outcomes) else []

    @property
    def _hangs(self) -> bool:
        return len(self._unanswered) >= max(self._concurrency, _FEWEST_SILENT)

    def _give_up_all(self) -> None:
        """Those whose calls are on their way, and those who wait for theirs."""
        now = time.monotonic()
        last = self._unanswered[-1]
        message = f"{last.message} So ended {len(self._unanswered)} calls in a row: no other is waited for."
        reason = GradingError(last.kind, message)
        for call in self._calls:
            call.is_given_up = True
            for one in call.batch:
                one.settle(reason, now - call.began)
        self._dismiss(reason)

    def _dismiss(self, reason: GradingError) -> None:
        """No reward for all who have not had their turn."""
        while self._queue:
            self._queue.popleft().settle(reason, 0.0)
        self._changed.notify_all()


_CLOSED = GradingError("other_error", "Grading was ended before this completion had its turn.")


def _reward(outcome: object, seconds: float) -> Reward:
    if isinstance(outcome, Score):
        try:
            reward = real_number(outcome.reward)
        except GradingError as error:
            return Reward(None, error.kind, error.message, outcome.metrics, seconds, outcome.tokens)
        return Reward(reward, None, None, outcome.metrics, seconds, outcome.tokens, outcome.explanation)
    if isinstance(outcome, GradingError):
        return Reward(
            None,
            outcome.kind,
            outcome.message,
            outcome.metrics,
            seconds,
            outcome.tokens,
            outcome.explanation,
        )
    return Reward(None, "missing_reward", f"The grader gave {type(outcome).__name__}.", {}, seconds)


def _identity(completion: GradedCompletion) -> bytes:
    """All that a grader is told."""
    told = [completion.item, completion.message, completion.finish_reason]
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
