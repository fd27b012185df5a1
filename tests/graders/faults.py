"""A Lambda function that fails on a share of its completions, in every way that functions fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from outcrop.graders.reward import ErrorKind
from tests.graders.lambda_endpoint import Handler, TimedOut

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    kind: ErrorKind
    """What a completion with this fault is said to have."""
    answer: Callable[[list[Entry], list[dict[str, Any]]], Any]
    """What is answered to a batch: given its faulty entries and the right answer to the whole."""


def _raise(error: Exception) -> Any:
    raise error


FAULTS: Final[dict[str, Fault]] = {
    "exception": Fault("grader_exception", lambda bad, right: _raise(ValueError("poison"))),
    "time-out": Fault("grader_timeout", lambda bad, right: _raise(TimedOut())),
    "status 500": Fault("grader_exception", lambda bad, right: {"statusCode": 500, "body": "boom"}),
    "wrong shape": Fault("missing_reward", lambda bad, right: {"result": 1}),
    "no JSON": Fault("missing_reward", lambda bad, right: b"<html>"),
    "left out": Fault(
        "missing_reward", lambda bad, right: [one for one in right if one["id"] not in _ids(bad)]
    ),
    "doubled": Fault("missing_reward", lambda bad, right: right + _answers(bad, right)),
    "NaN": Fault("invalid_reward", lambda bad, right: b"[NaN]"),
    "text": Fault("invalid_reward", lambda bad, right: _changed(bad, right, "1.0")),
    "true": Fault("invalid_reward", lambda bad, right: _changed(bad, right, True)),
    "huge": Fault("invalid_reward", lambda bad, right: _changed(bad, right, 1e300)),
}


def is_bad(n: int, share: float) -> bool:
    """True for exactly this share of every thousand numbers, always the same ones."""
    return n * 389 % 1000 < 1000 * share


def function(fault: str, share: float) -> Handler:
    """Speaks the batch contract; the reward of completion n is n. 'n warm' never fails."""

    def handler(event: Any, context: Any) -> Any:
        right = [{"id": one["id"], "aggregate_reward_score": float(_number(one))} for one in event]
        bad = [one for one in event if "warm" not in _text(one) and is_bad(_number(one), share)]
        return FAULTS[fault].answer(bad, right) if bad else right

    return handler


def _text(entry: Entry) -> str:
    return entry["messages"][-1]["content"]


def _number(entry: Entry) -> int:
    return int(_text(entry).split()[0])


def _ids(entries: list[Entry]) -> set[str]:
    return {one["id"] for one in entries}


def _answers(entries: list[Entry], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in right if one["id"] in _ids(entries)]


def _changed(entries: list[Entry], right: list[dict[str, Any]], reward: Any) -> list[dict[str, Any]]:
    return [one | {"aggregate_reward_score": reward} if one["id"] in _ids(entries) else one for one in right]
