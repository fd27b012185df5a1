"""What a validation file says about a policy: its mean reward with an interval, by class, and
against the base model. Pure.

A row counts once, with the mean of its completions that were graded.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any

import numpy as np

_CLASS_COLUMNS = ("tag", "class", "category")
_MOST_TAGS, _MOST_ANSWERS = 50, 10
_LONGEST_CLASS = 100
_Z = NormalDist().inv_cdf(0.975)
_RESAMPLES = 2000
REAL = 0.05
"""A gain is called real if chance alone would show as many rows better with less than this probability."""


@dataclass(frozen=True)
class Estimate:
    """A mean reward, and where it lies with 95 % confidence if the rows are a fair sample of the task."""

    mean: float
    low: float
    high: float
    rows: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_json(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "rows": self.rows}


def estimate(rewards: Mapping[int, float]) -> Estimate | None:
    """Of the rewards by row: Wilson's interval if all are 0 or 1, else the bootstrap's; None without any."""
    values = list(rewards.values())
    if not values:
        return None
    mean = fmean(values)
    low, high = _wilson(mean, len(values)) if set(values) <= {0.0, 1.0} else _bootstrap(values)
    return Estimate(mean, low, high, len(values))


def by_row(rewards: Iterable[tuple[int, float | None]]) -> dict[int, float]:
    """From rows and the rewards of their completions to the mean of each row that has one."""
    found: dict[int, list[float]] = {}
    for row, reward in rewards:
        if reward is not None:
            found.setdefault(row, []).append(reward)
    return {row: fmean(values) for row, values in found.items()}


def by_class(rewards: Mapping[int, float], classes: Mapping[int, str]) -> dict[str, Estimate]:
    """In the order of their names; those without a reward are left out."""
    groups: dict[str, dict[int, float]] = {}
    for row, reward in rewards.items():
        if row in classes:
            groups.setdefault(classes[row], {})[row] = reward
    return {name: found for name in sorted(groups) if (found := estimate(groups[name]))}


def classes(rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Row to its class: the column `tag`, `class` or `category`, if rows have one of them with at most 50
    values; else the reference answer, if there are few answers that come again and again. A class has a short
    name: events say it."""
    for column in _CLASS_COLUMNS:
        found = {index: str(row[column]) for index, row in enumerate(rows) if row.get(column) is not None}
        if found and len(set(found.values())) <= _MOST_TAGS and _are_short(found.values()):
            return found
    answers = {
        index: row["reference_answer"]
        for index, row in enumerate(rows)
        if isinstance(row.get("reference_answer"), str)
    }
    seen = Counter(answers.values())
    few = 2 <= len(seen) <= min(_MOST_ANSWERS, len(answers) // 3)
    return answers if few and _are_short(seen) else {}


def _are_short(names: Iterable[str]) -> bool:
    return all(len(name) <= _LONGEST_CLASS for name in names)


@dataclass(frozen=True)
class Comparison:
    """Of the tuned model with its base on the rows that both have a reward for."""

    base: Estimate
    tuned: Estimate
    better: int
    worse: int
    equal: int

    @property
    def chance(self) -> float:
        """How likely at least so many rows get better if better and worse are as likely (sign test)."""
        decided = self.better + self.worse
        return sum(math.comb(decided, k) for k in range(self.better, decided + 1)) / 2**decided

    @property
    def is_real(self) -> bool:
        return self.tuned.mean > self.base.mean and self.chance < REAL

    def __str__(self) -> str:
        said = "more than chance" if self.is_real else "NOT more than chance would show"
        if self.tuned.mean < self.base.mean:
            said = "the tuned model is WORSE than its base, which is the one to use"
        return (
            f"base model {self.base}, tuned model {self.tuned}; {self.better} rows got better, "
            f"{self.worse} worse, {self.equal} neither: {said} (sign test p = {self.chance:.2g})"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base.to_json(),
            "tuned": self.tuned.to_json(),
            "better": self.better,
            "worse": self.worse,
            "equal": self.equal,
            "sign_test_p": self.chance,
            "is_real": self.is_real,
        }


def compare(base: Mapping[int, float], tuned: Mapping[int, float]) -> Comparison | None:
    """None if no row has a reward from both."""
    both = sorted(base.keys() & tuned.keys())
    estimates = [estimate({row: rewards[row] for row in both}) for rewards in (base, tuned)]
    if estimates[0] is None or estimates[1] is None:
        return None
    gains = [tuned[row] - base[row] for row in both]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return Comparison(estimates[0], estimates[1], better, worse, len(both) - better - worse)


def exceeds_noise(before: Mapping[int, float], after: Mapping[int, float]) -> bool:
    """Whether rows gained more, on average, than the standard error of their gains."""
    gains = [after[row] - before[row] for row in before.keys() & after.keys()]
    if len(gains) < 2:
        return sum(gains) > 0
    return fmean(gains) > stdev(gains) / math.sqrt(len(gains))


def _wilson(share: float, count: int) -> tuple[float, float]:
    middle = share + _Z**2 / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The same rewards have the same interval."""
    drawn = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values)[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)
