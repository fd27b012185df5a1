"""What training may cost, in time and in money. A job that reaches a limit is paused, not failed.

A budget is for all attempts of a job together, at the prices of `outcrop/prices.json`. A training job's cost
is known when it has ended, so each one gets as many seconds as the rest of the budget buys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from outcrop import prices
from outcrop.errors import APIError
from outcrop.operations.machines import Machine
from outcrop.settings import settings
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import Bill, FineTuningJob

LEAST_SECONDS = 600
"""A rest of the budget that buys less is not worth a start: it would hardly load the model."""
BUDGET_REACHED = "budget_reached"
_PARAM = "method.reinforcement.hyperparameters.budget_usd"


def budget(asked: float | str, machines: Sequence[Machine]) -> float | None:
    """Dollars that a new job may cost; None without a limit.

    Raises: APIError if what was asked for buys no training on any of the machines.
    """
    if isinstance(asked, str):  # "auto"
        return float(settings().job_budget_usd) or None
    check(asked, 0, machines, param=_PARAM)
    return asked


def check(budget_usd: float, spent_usd: float, machines: Sequence[Machine], *, param: str) -> None:
    """Raises: APIError that says what would be enough."""
    if any(_bought(budget_usd - spent_usd, machine) >= _least() for machine in machines):
        return
    costs = {str(replace(machine, is_spot=False)): _hourly(machine) for machine in machines}
    known = {name: price for name, price in costs.items() if price is not None}
    if not known:
        raise APIError(
            f"{param}: no price is known of {' or '.join(costs)}, so no budget can be kept. Leave it out.",
            param=param,
        )
    name, price = min(known.items(), key=lambda one: one[1])
    already = f" after the {dollars(spent_usd)} already spent" if spent_usd else ""
    raise APIError(
        f"{param}: {dollars(budget_usd)} is too little{already}: training takes at least {_least() // 60} "
        f"minutes of {name} at {dollars(price)} an hour, so the budget must be at least "
        f"{dollars(spent_usd + price * _least() / 3600 + 0.005)}.",
        param=param,
        code=BUDGET_REACHED,
    )


def seconds_on(machine: Machine, job: FineTuningJob) -> int:
    """How long the job may train there now; 0 if its budget is spent."""
    longest = int(settings().max_runtime_seconds)
    if job.budget_usd is None:
        return longest
    bought = _bought(job.budget_usd - job.spent_usd, machine)
    return min(longest, bought) if bought >= _least() else 0


def note(job: FineTuningJob, description: Mapping[str, Any]) -> FineTuningJob:
    """The job, with what its training job cost that has ended, and that DescribeTrainingJob describes so."""
    seconds = int(description.get("BillableTimeInSeconds", 0))
    if not seconds:
        return job
    resources = description.get("ResourceConfig", {})
    instance_type = resources.get("InstanceType", "")
    machine = Machine(instance_type, count=resources.get("InstanceCount", 1))
    bill = Bill(
        training_job=description["TrainingJobName"],
        instance_type=instance_type,
        spot=bool(description.get("EnableManagedSpotTraining")),
        billable_seconds=seconds,
        usd=round((_hourly(machine) or 0) * seconds / 3600, 4),
    )
    return JobStore(job.organization_id).add_bill(job.id, bill)


def reached(job: FineTuningJob, machines: Sequence[Machine]) -> str:
    """Which limit a job has reached, what was spent, and how it goes on: the words of its event."""
    spent = f"{dollars(job.spent_usd)} for {duration(sum(one.billable_seconds for one in job.billed))}"
    if job.budget_usd is not None and not any(seconds_on(machine, job) for machine in machines):
        return (
            f"The budget of {dollars(job.budget_usd)} is reached: training cost {spent} so far. To go on, "
            "resume the job with a larger budget_usd."
        )
    limit = duration(int(settings().max_runtime_seconds))
    return (
        f"The time limit of {limit} for one attempt (max_runtime_seconds) is reached: training cost {spent} "
        "so far. To go on, resume the job."
    )


def dollars(amount: float) -> str:
    return f"${amount:.2f}"


def duration(seconds: int) -> str:
    """In words: `1 h 30 min`."""
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min" if minutes else f"{seconds} s"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _bought(amount: float, machine: Machine) -> int:
    """Seconds of a machine; none of one whose price is unknown."""
    price = _hourly(machine)
    return 0 if price is None else int(amount / price * 3600)


def _hourly(machine: Machine) -> float | None:
    """Of all machines together: SageMaker's billable seconds are those of each."""
    price = prices.hourly("training", machine.instance_type)
    return None if price is None else price * machine.count


def _least() -> int:
    return min(LEAST_SECONDS, int(settings().max_runtime_seconds))
