"""What SageMaker's machines can do to a training job: faults that tests inject, in AWS's own words.

`TrainingJobs.faults` maps a type of machine to what happens to the next training jobs that ask for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Fault = Literal["quota_zero", "quota_in_use", "no_capacity", "pending", "no_spot", "interruption"]
"""The first two refuse CreateTrainingJob, the next three end the job before it trains, and the last takes its
spot instance away as soon as it has a checkpoint."""


class QuotaExceeded(Exception):
    """ResourceLimitExceeded; the message is AWS's."""


@dataclass(frozen=True)
class Refusal:
    """How a training job ends that got no machine."""

    reason: str | None = None
    """The FailureReason of one that failed."""
    stops_as: str | None = None
    """The secondary status of one that was stopped."""
    waited_for: str | None = None
    """The limit in StoppingCondition that it has reached."""


_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
    "instance type."
)
_REFUSALS: Mapping[Fault, Refusal] = {
    "no_capacity": Refusal(reason=_NO_CAPACITY),
    "pending": Refusal(stops_as="Stopped", waited_for="MaxPendingTimeInSeconds"),
    "no_spot": Refusal(stops_as="MaxWaitTimeExceeded", waited_for="MaxWaitTimeInSeconds"),
}


def without_a_machine(fault: Fault) -> Refusal | None:
    """None for a fault that leaves a job its machine."""
    return _REFUSALS.get(fault)


def quota_exceeded(request: Mapping[str, Any], fault: Fault) -> QuotaExceeded:
    machine = request["ResourceConfig"]["InstanceType"]
    spot = "spot " if request.get("EnableManagedSpotTraining") else ""
    number = 1 if fault == "quota_in_use" else 0
    return QuotaExceeded(
        f"The account-level service limit '{machine} for {spot}training job usage' is {number} Instances, "
        f"with current utilization of {number} Instances and a request delta of 1 Instances. Please use AWS "
        "Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, "
        "contact AWS support to request an increase for this quota."
    )
