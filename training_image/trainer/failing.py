"""How often the grader fails, and when its owner is told: kept with a run's checkpoints. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

STEPS = 10
"""Warnings are about so many of the latest steps."""


@dataclass
class Failing:
    """Of the latest steps, or of the latest evaluation."""

    completions: list[int] = field(default_factory=list)
    """Of each: how many there were."""
    causes: list[dict[str, int]] = field(default_factory=list)
    """Of each: how many got no reward, by cause."""
    told: float = 0.0
    """The share that was last warned of; 0 while there is nothing to worry about."""

    def add(self, completions: int, causes: Mapping[str, int], *, window: int) -> None:
        self.completions = [*self.completions, completions][-window:]
        self.causes = [*self.causes, dict(causes)][-window:]

    @property
    def share(self) -> float:
        return sum(sum(causes.values()) for causes in self.causes) / sum(self.completions)

    def news(self, limit: float) -> Literal["failing", "worse", "over"] | None:
        """Asked after every step; answers when `limit` is passed, at each doubling from there, and when the
        share is back at half the limit: a grader near the limit is not news at every step."""
        if self.told and self.share <= limit / 2:
            self.told = 0.0
            return "over"
        if self.share <= limit or self.share < 2 * self.told:
            return None
        is_first, self.told = not self.told, self.share
        return "failing" if is_first else "worse"

    def told_causes(self) -> str:
        return told_causes(sum((Counter(one) for one in self.causes), Counter()))


def told_causes(causes: dict[str, int]) -> str:
    """`grader_timeout 7, invalid_reward 1`."""
    return ", ".join(f"{cause} {count}" for cause, count in Counter(causes).most_common())
