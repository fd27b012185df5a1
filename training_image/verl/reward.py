"""Grading on several machines: one completion at a time, as soon as it is written, by the job's own grader;
and which completions a step then learns from. Nothing here knows verl."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from outcrop.graders.reward import GradedCompletion, Reward
from training_image.trainer.dataset import question
from training_image.trainer.rewards import Graded, Grades, Read


@dataclass(frozen=True)
class Scored:
    """A completion with its reward, as it travels from the host that sampled it to the one that reports."""

    index: int
    """Of its row in the file."""
    session: int
    """Which of the row's completions in this step or evaluation; an evaluation's first is the likeliest."""
    completion: str
    is_cut_off: bool
    reward: Reward

    def to_json(self) -> str:
        return _SCORED.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Scored":
        return _SCORED.validate_json(text)

    def graded(self, rows: Sequence[dict[str, Any]]) -> Graded:
        return Graded(self.index, question(rows, self.index)["prompt"], self.completion, self.reward)


_SCORED = TypeAdapter(Scored)


class Grading:
    """In a process that samples, with others like it on every host."""

    def __init__(self, grader: Grades, read: Read, *, concurrency: int) -> None:
        """`concurrency`: completions that this process grades at a time."""
        self._grader = grader
        self._read = read
        self._threads = ThreadPoolExecutor(concurrency)

    async def grade(
        self, rows: Sequence[dict[str, Any]], index: int, session: int, text: str, *, is_cut_off: bool
    ) -> Scored:
        """Never raises for a grader that fails: the reward says so."""
        said, calls = self._read(text, bool(rows[index].get("tools")))
        completion = GradedCompletion(rows[index], said, calls, "length" if is_cut_off else "stop")
        loop = asyncio.get_running_loop()
        (reward,) = await loop.run_in_executor(
            self._threads, lambda: self._grader.round().grade([completion])
        )
        return Scored(index, session, text, is_cut_off, reward)


def compared(scored: Sequence[Scored], groups: Sequence[str]) -> list[bool]:
    """Of each completion, whether it has a reward and its group another one to compare it with. What is
    false counts neither in a group's mean nor in a step's tokens."""
    graded = Counter(
        group for one, group in zip(scored, groups, strict=True) if one.reward.reward is not None
    )
    return [
        one.reward.reward is not None and graded[group] > 1 for one, group in zip(scored, groups, strict=True)
    ]


def learned_from(scored: Sequence[Scored], groups: Sequence[str], overlong_completions: str) -> list[bool]:
    """Those `compared`, but for completions that were cut off, if the job masks them; their rewards count
    among the others'."""
    masks = overlong_completions == "mask"
    return [
        is_compared and not (masks and one.is_cut_off)
        for one, is_compared in zip(scored, compared(scored, groups), strict=True)
    ]


def share_without_variance(scored: Sequence[Scored], groups: Sequence[str]) -> float:
    """Of a step's groups, how many have rewards that are all equal."""
    rewards: dict[str, set[float]] = {group: set() for group in groups}
    for one, group, is_compared in zip(scored, groups, compared(scored, groups), strict=True):
        if is_compared:
            rewards[group].add(one.reward.reward or 0.0)
    return sum(len(found) == 1 for found in rewards.values()) / len(rewards)


def is_cut_off(token_ids: Sequence[int], most: int, stops: Collection[int]) -> bool:
    """verl does not tell a completion that came to its end from one that was cut off."""
    return len(token_ids) >= most and token_ids[-1] not in stops
