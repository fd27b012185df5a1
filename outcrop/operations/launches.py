"""Which machine an attempt of a job asks for, after which others were refused.

A `Launch` is one call of CreateTrainingJob. It goes from step to step in the state of the execution, so a
step that runs twice answers the same. When every machine was refused, the round begins again after a pause,
for as long as a deployment waits (`max_wait_seconds`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from outcrop.operations import limits
from outcrop.operations.machines import Machine
from outcrop.settings import settings
from outcrop.types.fine_tuning_job import FineTuningJob

MAX_ROUNDS = 8
"""With `max_wait_seconds`, what keeps an execution below its 25,000 events."""
_SHORTEST_PAUSE_SECONDS = 60
_LEAST_PENDING_SECONDS = 1800
"""Less than that SageMaker does not take."""


@dataclass(frozen=True)
class Refusal:
    """Why SageMaker did not give a machine."""

    instance_type: str
    is_spot: bool
    said: str
    """In words, with SageMaker's own."""
    is_quota: bool = False
    passes: bool = True
    """Whether the same call may succeed later: not while a quota is zero."""


@dataclass(frozen=True)
class Launch:
    number: int = 1
    """Of its attempt."""
    round: int = 1
    since: int = 0
    """When the attempt's first launch was prepared; 0 before it."""
    refused: tuple[Refusal, ...] = ()
    """In this round."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Launch":
        """As it lies in the state of an execution, written by `dataclasses.asdict`."""
        return cls(**{**state, "refused": tuple(Refusal(**one) for one in state["refused"])})

    def machine(self, job: FineTuningJob, machines: Sequence[Machine]) -> Machine | None:
        """The first that was not refused and that the job's budget can pay."""
        refused = {(one.instance_type, one.is_spot) for one in self.refused}
        for machine in machines:
            if (machine.instance_type, machine.is_spot) not in refused and limits.seconds_on(machine, job):
                return machine
        return None

    def announcement(self, machine: Machine, attempt: int) -> str:
        """That this machine is asked for, and why not the one before: an event."""
        if self.refused:
            before = self.refused[-1]
            refused = replace(machine, instance_type=before.instance_type, is_spot=before.is_spot)
            return f"Asking for {machine} instead of {refused}: {before.said}{self._which(attempt)}"
        return f"Asking for {machine} to train on{self._which(attempt)}"

    def _which(self, attempt: int) -> str:
        """Tells this launch from others of the job's that would be announced in the same words."""
        named = {"attempt": attempt, "round": self.round}
        told = ", ".join(f"{name} {number}" for name, number in named.items() if number > 1)
        return f" ({told})" if told else ""

    def after(self, refusal: Refusal) -> "Launch":
        return replace(self, number=self.number + 1, refused=(*self.refused, refusal))

    def next_round(self) -> "Launch":
        return replace(self, round=self.round + 1, refused=())

    def pause_seconds(self, now: int) -> int:
        """How long to wait before all machines are asked for again; 0 if the time for waiting is over. The
        pauses double, and all of them together are no longer than a deployment waits."""
        longest = int(settings().max_wait_seconds)
        first = max(_SHORTEST_PAUSE_SECONDS, longest // (2 ** (MAX_ROUNDS - 1) - 1))
        left = self.since + longest - now
        is_hopeless = not any(one.passes for one in self.refused)
        if is_hopeless or self.round >= MAX_ROUNDS or left < first:
            return 0
        return min(first * 2 ** (self.round - 1), left)


def pending_seconds(machines: Sequence[Machine]) -> int:
    """How long one machine is waited for: its share of what the deployment waits for all of them."""
    return max(_LEAST_PENDING_SECONDS, int(settings().max_wait_seconds) // len(machines))
