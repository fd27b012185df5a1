"""What a grader is given and what it gives back: a completion, its reward, or why there is none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import orjson

ErrorKind = Literal[
    # OpenAI's, as in `metadata.errors` of `graders/run`
    "invalid_variable_error",
    "sample_parse_error",
    "formula_parse_error",
    "model_grader_server_error",
    "model_grader_refusal_error",
    "model_grader_parse_error",
    "other_error",
    # a judge that has too much to do
    "judge_throttled",
    # a grader that is a program: a Lambda function, or Python in the sandbox
    "grader_not_found",
    "grader_access_denied",
    "grader_exception",
    "grader_timeout",
    "grader_throttled",
    "grader_unavailable",
    # any grader's answer
    "invalid_reward",
    "missing_reward",
]

FinishReason = Literal["stop", "length"]

LARGEST_REWARD = 1e9
"""A group's variance is computed in float32: the square of a reward has to fit with room to spare."""


@dataclass(frozen=True)
class GradedCompletion:
    """One completion and the training row (`item`) it answers."""

    item: Mapping[str, Any]
    text: str
    """Without its tool calls."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """As in OpenAI's messages: `{"id", "type": "function", "function": {"name", "arguments"}}`, the arguments
    being JSON as the model wrote it."""
    finish_reason: FinishReason = "stop"
    """Whether the model came to an end or was cut off."""

    @property
    def message(self) -> dict[str, Any]:
        """The completion as a message of the chat API."""
        if not self.tool_calls:
            return {"role": "assistant", "content": self.text}
        return {"role": "assistant", "content": self.text or None, "tool_calls": [*self.tool_calls]}

    @cached_property
    def sample(self) -> Mapping[str, Any]:
        """What graders read, as OpenAI's do: `output_text`, `output_tools` (the message's tool calls),
        `choices` of the chat API, and `output_json` where the text is valid JSON."""
        is_calling = self.tool_calls and self.finish_reason == "stop"
        choice = {
            "index": 0,
            "message": self.message,
            "finish_reason": "tool_calls" if is_calling else self.finish_reason,
        }
        sample = {"output_text": self.text, "output_tools": [*self.tool_calls], "choices": [choice]}
        try:
            return sample | {"output_json": orjson.loads(self.text)}
        except orjson.JSONDecodeError:
            return sample


@dataclass(frozen=True)
class TokenUsage:
    """Tokens that judging cost. `cached_tokens` are among the prompt's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


def total(usages: Iterable[Mapping[str, TokenUsage]]) -> dict[str, TokenUsage]:
    """By judge model."""
    totals: dict[str, TokenUsage] = {}
    for usage in usages:
        for model, tokens in usage.items():
            totals[model] = totals.get(model, TokenUsage()) + tokens
    return totals


@dataclass(frozen=True)
class Score:
    """What a grader said about one completion."""

    reward: float
    metrics: dict[str, float] = field(default_factory=dict)
    """Numbers beside it: the sub-rewards of a `multi` grader, a Lambda function's `metrics_list`."""
    tokens: dict[str, TokenUsage] = field(default_factory=dict)
    """What it cost, by judge model."""
    explanation: str | None = None
    """Why, in the grader's own words: a judge's steps."""


@dataclass(frozen=True)
class Reward:
    """A score with its price, or the reason why there is none: `reward` is None exactly when `error` is set.

    A completion without a reward teaches nothing: it is never counted as 0.
    """

    reward: float | None
    error: ErrorKind | None
    message: str | None
    metrics: dict[str, float]
    latency_seconds: float
    tokens: dict[str, TokenUsage] = field(default_factory=dict)
    explanation: str | None = None


class GradingError(Exception):
    """Why a completion gets no reward. The message is for the person who wrote the grader.

    `field` is the field of the grader's definition that is at fault, if one is; `metrics` is what was found
    out before the failure, `tokens` what that cost, `explanation` what a judge said instead of a verdict.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        field: str = "",
        metrics: Mapping[str, float] | None = None,
        tokens: Mapping[str, TokenUsage] | None = None,
        explanation: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.field = field
        self.metrics = dict(metrics or {})
        self.tokens = dict(tokens or {})
        self.explanation = explanation

    def below(self, field: str) -> "GradingError":
        """The same error of a part, as an error of the whole that has the part at `field`."""
        return GradingError(self.kind, self.message, field=f"{field}.{self.field}".strip("."))


Outcome = Score | GradingError


class Grades(Protocol):
    """An open grader, called from many threads at a time."""

    @property
    def batch_limit(self) -> int:
        """Completions one call takes."""
        ...

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """An outcome per completion, in order."""
        ...

    def close(self) -> None: ...


def real_number(value: object) -> float:
    """`value` as a reward: a finite number, and nothing that Python or JSON merely takes for one.

    Raises: GradingError `invalid_reward`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = type(value).__name__
        raise GradingError(
            "invalid_reward", f"The reward has to be a number, not {kind}: {repr(value)[:60]}."
        )
    if not abs(value) <= LARGEST_REWARD:  # NaN compares to nothing
        raise GradingError("invalid_reward", f"The reward has to be a number within ±{LARGEST_REWARD:g}.")
    return float(value)
