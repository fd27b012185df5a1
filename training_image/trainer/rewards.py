"""From completions to rewards, with every failure counted and none of them taken for a reward.

A completion that cannot be graded says nothing about the policy: its reward is None and its group is compared
without it. When graders fail too often to learn from, the run stops and says why.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

from outcrop.graders.reward import FinishReason, GradedCompletion, Reward, total
from training_image.trainer.errors import GraderFailing
from training_image.trainer.failing import told_causes

Read = Callable[[str, bool], tuple[str, list[dict[str, Any]]]]
"""`ChatFormat.read`: from a completion's text, and whether its row has tools, to what it says and calls."""

_MOST_METRICS = 50
_LONGEST_NAME = 100


class Round(Protocol):
    def submit(self, completions: Sequence[GradedCompletion]) -> None: ...

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]: ...


class Grades(Protocol):
    """A `GraderPipeline`."""

    def round(self) -> Round: ...


@dataclass(frozen=True)
class Graded:
    """One completion with its reward."""

    index: int
    """Of its row in the file."""
    prompt: list[dict[str, Any]]
    completion: str
    reward: Reward


class GradingRound:
    """The completions of one step or evaluation. `inputs` are `dataset.question`s."""

    def __init__(
        self,
        grader: Grades,
        rows: Sequence[dict[str, Any]],
        inputs: Sequence[dict[str, Any]],
        read: Read,
    ) -> None:
        self._round = grader.round()
        self._rows = rows
        self._inputs = inputs
        self._read = read
        self._ends: dict[int, FinishReason] = {}

    def submit(self, place: int, text: str, finish_reason: FinishReason) -> None:
        """Have the completion of `inputs[place]` graded while others are still being generated."""
        self._ends[place] = finish_reason
        self._round.submit([self._completion(place, text)])

    def grade(self, texts: Sequence[str]) -> list[Graded]:
        """All of them, in order. What was submitted is only waited for."""
        rewards = self._round.grade([self._completion(place, text) for place, text in enumerate(texts)])
        return [
            Graded(one["index"], one["prompt"], text, reward)
            for one, text, reward in zip(self._inputs, texts, rewards, strict=True)
        ]

    def _completion(self, place: int, text: str) -> GradedCompletion:
        row = self._rows[self._inputs[place]["index"]]
        said, calls = self._read(text, bool(row.get("tools")))
        return GradedCompletion(row, said, calls, self._ends.get(place, "stop"))


class Rewards:
    """The run's grader; `latest` holds the last step's completions, for its rollouts and metrics."""

    def __init__(
        self,
        grader: Grades,
        rows: list[dict[str, Any]],
        *,
        read: Read,
        failure_limit: float,
    ) -> None:
        """A step fails the run if it has a larger share of failures than `failure_limit`; the first one also
        if it has nothing else."""
        self._grader = grader
        self._rows = rows
        self._failure_limit = failure_limit
        self._read = read
        self._is_first = True
        self.latest: list[Graded] = []

    def round(self, inputs: Sequence[dict[str, Any]]) -> GradingRound:
        return GradingRound(self._grader, self._rows, inputs, self._read)

    def begin_step(self) -> None:
        self.latest = []

    def rewards(self, round: GradingRound, texts: Sequence[str]) -> list[float | None]:
        """Those of a round of the step. Raises: GraderFailing if too many of the step's completions so far
        could not be graded."""
        graded = round.grade(texts)
        self.latest += graded
        check(self.latest, self._failure_limit, is_first=self._is_first, of="of a step")
        self._is_first = False
        return [one.reward.reward for one in graded]


def check(graded: Sequence[Graded], limit: float, *, is_first: bool, of: str) -> None:
    """Raises: GraderFailing, with the first failure's own words, if more than the share `limit` has no
    reward, or at the first time all."""
    share = failed_share(graded)
    if share > limit or (is_first and share == 1):
        first = next(one.reward for one in graded if one.reward.error)
        failed = "every completion" if share == 1 else f"{share:.0%} of the completions"
        causes = told_causes(failures(graded))
        raise GraderFailing(
            f"The grader failed on {failed} {of} ({causes}). First failure, {first.error}: {first.message}"
        )


def mean_reward(graded: Sequence[Graded]) -> float | None:
    """Of those that were graded; None if none was."""
    rewards = [one.reward.reward for one in graded if one.reward.reward is not None]
    return fmean(rewards) if rewards else None


def failed_share(graded: Sequence[Graded]) -> float:
    return sum(one.reward.error is not None for one in graded) / len(graded)


def failures(graded: Sequence[Graded]) -> Counter[str]:
    """How many completions got no reward, by cause."""
    return Counter(one.reward.error for one in graded if one.reward.error is not None)


def mean_metrics(graded: Sequence[Graded]) -> dict[str, float]:
    """What came beside the rewards, such as the parts of a `multi` grader: the mean of each over the
    completions that have a reward. Of very many only the first, which an event has room for: a function may
    name another for every completion.
    """
    found: dict[str, list[float]] = {}
    for one in graded:
        if one.reward.reward is not None:
            for name, value in one.reward.metrics.items():
                found.setdefault(name, []).append(value)
    told = [(name, values) for name, values in found.items() if len(name) <= _LONGEST_NAME][:_MOST_METRICS]
    return {name: fmean(values) for name, values in told}


def judges_tokens(*, train: Sequence[Graded], evaluated: Sequence[Graded]) -> dict[str, dict[str, int]]:
    """What judging them cost, by judge model, in OpenAI's names for it."""
    usage: dict[str, dict[str, int]] = {}
    for of, graded in (("train", train), ("eval", evaluated)):
        distinct = {id(one.reward): one.reward for one in graded}  # equal completions are graded once
        for model, tokens in total(reward.tokens for reward in distinct.values()).items():
            usage.setdefault(model, {}).update(
                {
                    f"{of}_prompt_tokens": tokens.prompt_tokens,
                    f"{of}_completion_tokens": tokens.completion_tokens,
                    f"{of}_cached_tokens": tokens.cached_tokens,
                }
            )
    return usage
