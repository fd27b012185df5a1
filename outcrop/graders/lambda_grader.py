"""The graders `lambda` and `custom_code`: finds out which contract a function speaks, and speaks it."""

import time
from collections.abc import Collection, Sequence
from typing import Final

import orjson

from outcrop.graders.contracts import (
    Contract,
    UnexpectedAnswer,
    batch_event,
    openai_event,
    parse,
    read_batch,
    read_single,
    single_event,
)
from outcrop.graders.lambda_function import LambdaFunction
from outcrop.graders.reward import ErrorKind, GradedCompletion, GradingError, Outcome

MAX_BATCH = 64
MAX_BATCH_BYTES = 4_000_000
_HALVING_TIMEOUTS = 3
"""Time-outs of the function within which the halves of a batch that failed are asked."""

# The declared type says which contract is tried first; the function's own answer says which one it is.
_TRIED: Final[dict[str, tuple[Contract, ...]]] = {
    "lambda": ("batch", "single", "openai"),
    "custom_code": ("single", "openai", "batch"),
}
_OF_THE_EVENT: Final[tuple[ErrorKind, ...]] = ("grader_exception", "grader_timeout")
# No half of a batch would escape these.
_OF_THE_WHOLE: Final[frozenset[ErrorKind]] = frozenset(
    {"grader_not_found", "grader_access_denied", "grader_throttled", "grader_unavailable"}
)


class LambdaGrader:
    def __init__(self, function: LambdaFunction, declared_type: str) -> None:
        self._function = function
        self._tried = _TRIED[declared_type]
        self._contract: Contract | None = None
        self._silence: GradingError | None = None

    @property
    def batch_limit(self) -> int:
        """Completions one call takes. One while the contract is unknown: a row that breaks the function must
        not make it look like one that speaks another contract."""
        return MAX_BATCH if self._contract == "batch" else 1

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """An outcome per completion, in order. A batch that fails is halved until only its cause fails, as
        long as there is time: one cause among n completions takes 2 log2(n) more calls."""
        return self._grade(completions, time.monotonic() + _HALVING_TIMEOUTS * self._function.timeout_seconds)

    def _grade(self, completions: Sequence[GradedCompletion], until: float) -> list[Outcome]:
        if time.monotonic() > until:
            message = "The function failed on this completion's batch, and its halves took too long."
            return [GradingError("grader_timeout", message)] * len(completions)
        if len(completions) <= self.batch_limit:
            try:
                return self._ask(completions)
            except GradingError as error:
                if len(completions) == 1 or error.kind in _OF_THE_WHOLE:
                    return [error] * len(completions)
        middle = len(completions) // 2
        return self._grade(completions[:middle], until) + self._grade(completions[middle:], until)

    def close(self) -> None:
        self._function.close()

    def _ask(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        if self._contract is None:
            return self._find_out(completions)
        # What a batch breaks on is asked again in halves anyway.
        once = _OF_THE_EVENT if len(completions) > 1 else ()
        return self._speak(self._contract, completions, once=once)

    def _find_out(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """Tries one contract after the other until the answer has the right shape, and remembers which.

        An exception may mean "wrong event" or "bad day", so the first contract also gets the last try, and
        its error is what a person is told. Other failures say nothing about the contract. But a function that
        timed out and never answered is not waited for again, so that the job fails soon.
        """
        if self._silence is not None:
            raise self._silence
        declared = self._tried[0]
        for contract in self._tried:
            try:
                outcomes = self._speak(contract, completions, once=("grader_exception",))
            except GradingError as error:
                if error.kind == "grader_timeout":
                    self._silence = error
                if error.kind != "grader_exception" and not isinstance(error, UnexpectedAnswer):
                    raise
                continue
            if self._contract is None or contract == declared:
                self._contract = contract
            return outcomes
        return self._speak(declared, completions, once=("grader_exception",))

    def _speak(
        self, contract: Contract, completions: Sequence[GradedCompletion], *, once: Collection[ErrorKind]
    ) -> list[Outcome]:
        if contract == "batch":
            event = batch_event(completions)
            payload = orjson.dumps(event)
            if len(completions) > 1 and len(payload) > MAX_BATCH_BYTES:
                raise GradingError("other_error", f"{len(completions)} completions make more than 4 MB.")
            return read_batch(parse(self._function.invoke(payload, once=once)), event)
        [completion] = completions
        payload = orjson.dumps(single_event(completion) if contract == "single" else openai_event(completion))
        return [read_single(parse(self._function.invoke(payload, once=once)))]
