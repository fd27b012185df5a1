"""The figures that `outcrop graders test` reports. Data."""

from dataclasses import dataclass
from typing import Literal

from outcrop.cli.grader_trial import Grade
from outcrop.graders.reward import TokenUsage

Verdict = Literal["pays", "pays in part", "earns nothing", "cannot be graded", "no such text"]


@dataclass(frozen=True)
class Failures:
    kind: str
    count: int
    message: str
    """Of the first."""


@dataclass(frozen=True)
class Latency:
    median: float
    p95: float


@dataclass(frozen=True)
class Bin:
    start: float
    end: float
    count: int


@dataclass(frozen=True)
class Rewards:
    graded: int
    mean: float
    lowest: float
    highest: float
    top: float
    """1, or the highest reward that anything earned if that is more."""
    share_of_zero: float
    """Of rewards that are 0 or less."""
    share_of_top: float
    histogram: list[Bin]
    groups: int
    """Rows with two rewards or more."""
    groups_without_variance: int


@dataclass(frozen=True)
class Sampling:
    completions: int
    cut_off: int
    mean_tokens: float
    latency_seconds: Latency | None
    failures: list[Failures]


@dataclass(frozen=True)
class Grading:
    failed: int
    latency_seconds: Latency | None
    failures: list[Failures]


@dataclass(frozen=True)
class ProbeReport:
    name: str
    verdict: Verdict
    mean: float | None
    graded: int
    failed: int
    example: Grade | None
    """What earned most, if it pays."""
    failures: list[Failures]
    remedy: str


@dataclass(frozen=True)
class RunCost:
    """What a job with default hyperparameters would spend on this file."""

    steps: int
    completions: int
    """Each is graded once."""
    completion_tokens: int
    grader_seconds: float
    """At the trainer's concurrency, if the grader keeps its pace."""
    judge_tokens: dict[str, TokenUsage]
    dollars: dict[str, float]
    """Of the judges whose price was given."""


@dataclass(frozen=True)
class Report:
    rewards: Rewards | None
    sampling: Sampling
    grading: Grading
    reference_mean: float | None
    """What the rows' own reference answers earn."""
    probes: list[ProbeReport]
    cost: RunCost | None
    """None for a model that is not trained here."""

    @property
    def paying(self) -> list[ProbeReport]:
        return [probe for probe in self.probes if probe.verdict == "pays"]

    @property
    def mostly_fails(self) -> bool:
        """Whether a job with this grader would fail: more than half of the completions have no reward."""
        graded = self.rewards.graded if self.rewards else 0
        return graded < self.grading.failed or not graded

    @property
    def exit_status(self) -> int:
        return 1 if self.mostly_fails or self.paying else 0
