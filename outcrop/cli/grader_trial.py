"""What `outcrop graders test` measured: completions, and what the grader made of them and of probes. Data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.graders.reward import TokenUsage

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Completion:
    """What the model said to row `row` of the file, or why it said nothing."""

    row: int
    text: str | None
    seconds: float
    """Of the request, whose `--samples` completions share it."""
    tokens: float = 0.0
    is_cut_off: bool = False
    """It reached the limit of tokens."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Grade:
    """A text with its reward, or with the reason why there is none: exactly one of `reward` and `error`."""

    row: int
    text: str
    reward: float | None
    error: str | None = None
    message: str | None = None
    seconds: float = 0.0
    tokens: Mapping[str, TokenUsage] = field(default_factory=dict)
    """By judge model."""


@dataclass(frozen=True)
class Trial:
    model: str
    grader: Mapping[str, Any]
    """Its definition, as the server understood it."""
    rows_in_file: int
    reference_column: str | None
    max_completion_tokens: int
    completions: list[Completion]
    grades: list[Grade]
    """Of the completions that there are, in their order."""
    references: list[Grade]
    """What the rows' own reference answers earn; none without a column of references."""
    probes: Mapping[str, list[Grade]]
    """By name, for the rows that have such a text."""
