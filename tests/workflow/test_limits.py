"""A job that reaches its limit of time or money is paused, says what it cost, and goes on with more."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from outcrop.errors import APIError
from outcrop.operations import jobs
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.account import sdk
from tests.workflow.conftest import Workflow
from tests.workflow.training import billed, completes, runs_out_of_time

PROJECT = factories.PROJECT
HOUR = 3600
PRICE = 2.61  # of ml.g6e.xlarge, an hour
ENDS_IN_TIME = {"MaxPendingTimeInSeconds": 21_600}


@pytest.fixture(autouse=True)
def _one_machine(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", '{"*": ["ml.g6e.xlarge"]}')
    monkeypatch.setenv("OUTCROP_JOB_BUDGET_USD", "100")
    settings.cache_clear()


def a_new_job(**fields: Any) -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id, **fields)


def stored(job: FineTuningJob) -> FineTuningJob:
    return JobStore(PROJECT).get(job.id)


def messages(job: FineTuningJob) -> list[str]:
    return [event.message for event in EventStore(PROJECT, job.id).list(limit=100).data][::-1]


def resume(job: FineTuningJob, budget_usd: float | None = None) -> FineTuningJob:
    call = Call(PROJECT, "key", f"/fine_tuning/jobs/{job.id}/resume", "fingerprint")
    return jobs.resume(job.id, call, budget_usd)


def test_several_machines_are_paid_for_each(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow.training_jobs.scripts = [billed(HOUR, completes)]
    job = a_new_job(budget_usd=6 * PRICE)
    monkeypatch.setenv("OUTCROP_INSTANCE_COUNT", json.dumps({job.model: 3}))
    settings.cache_clear()

    job = workflow.run(job)

    (request,) = workflow.training_jobs.requests
    assert request["ResourceConfig"]["InstanceCount"] == 3
    assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == 2 * HOUR
    assert job.spent_usd == pytest.approx(3 * PRICE)


@pytest.mark.parametrize("times", [1, 2])
def test_a_training_job_gets_as_long_as_the_budget_pays_for(workflow: Workflow, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [billed(HOUR, completes)]

    job = workflow.run(a_new_job(budget_usd=2 * PRICE))

    (request,) = workflow.training_jobs.requests
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 2 * HOUR, **ENDS_IN_TIME}
    assert job.status == "succeeded"
    (bill,) = job.billed
    assert (bill.training_job, bill.instance_type, bill.billable_seconds, bill.usd) == (
        f"{job.id}-1",
        "ml.g6e.xlarge",
        HOUR,
        PRICE,
    )


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_that_has_spent_its_budget_is_paused_and_resumed_with_a_larger_one(
    workflow: Workflow, times: int
) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [billed(HOUR, runs_out_of_time), billed(HOUR // 2, completes)]
    job = workflow.run(a_new_job(budget_usd=PRICE))

    assert (job.status, job.error, job.pause_requested) == ("paused", None, None)
    assert messages(job)[-2:] == [
        "The budget of $2.61 is reached: training cost $2.61 for 1 h so far. To go on, resume the job with "
        "a larger budget_usd.",
        "The job is paused before its first checkpoint",
    ]
    with pytest.raises(
        APIError, match=r"too little after the \$2.61 already spent.* at least \$3.05"
    ) as refused:
        resume(job)
    assert (refused.value.code, refused.value.param) == ("budget_reached", "budget_usd")

    workflow.wait(resume(job, 3 * PRICE))

    job = stored(job)
    assert (job.status, job.budget_usd, round(job.spent_usd, 3)) == ("succeeded", 3 * PRICE, 1.5 * PRICE)
    assert workflow.training_jobs.requests[1]["StoppingCondition"]["MaxRuntimeInSeconds"] == 2 * HOUR


def test_a_job_that_has_reached_the_time_limit_is_paused_and_simply_resumed(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_MAX_RUNTIME_SECONDS", "5400")
    settings.cache_clear()
    workflow.training_jobs.scripts = [billed(5400, runs_out_of_time)]
    job = workflow.run(a_new_job())

    assert job.status == "paused"
    assert messages(job)[-2] == (
        "The time limit of 1 h 30 min for one attempt (max_runtime_seconds) is reached: training cost $3.92 "
        "for 1 h 30 min so far. To go on, resume the job."
    )
    workflow.wait(resume(job))
    assert stored(job).status == "succeeded"


def test_a_trainer_that_finished_as_its_time_was_up_makes_the_job_succeed(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [lambda spec: {**completes(spec), **runs_out_of_time(spec)}]

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"


def test_a_dear_machine_that_the_rest_of_the_budget_cannot_pay_is_passed_over(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", '{"*": ["ml.p5en.48xlarge", "ml.g6e.xlarge"]}')
    settings.cache_clear()

    job = workflow.run(a_new_job(budget_usd=5))

    assert job.status == "succeeded"
    assert workflow.training_jobs.machines == ["ml.g6e.xlarge"]


def test_a_budget_spent_before_a_machine_is_asked_for_pauses_the_job(workflow: Workflow) -> None:
    job = a_new_job(budget_usd=0.05)

    job = workflow.run(job)

    assert job.status == "paused"
    assert workflow.training_jobs.requests == []
    assert messages(job)[-1].startswith("The budget of $0.05 is reached: training cost $0.00 for 0 s so far.")


def test_interruptions_are_paid_from_the_same_budget(workflow: Workflow) -> None:
    killed = {"TrainingJobStatus": "Failed", "FailureReason": "InternalServerError: it failed"}
    workflow.training_jobs.scripts = [lambda spec: billed(HOUR, runs_out_of_time)(spec) | killed]

    job = workflow.run(a_new_job(budget_usd=3 * PRICE))

    limits = [
        request["StoppingCondition"]["MaxRuntimeInSeconds"] for request in workflow.training_jobs.requests
    ]
    assert (job.status, limits) == ("succeeded", [3 * HOUR, 2 * HOUR])


@pytest.fixture
def client(workflow: Workflow) -> OpenAI:
    return sdk(PROJECT)


def created(client: OpenAI, **hyperparameters: Any) -> Any:
    reinforcement = {"grader": factories.STRING_CHECK, "hyperparameters": hyperparameters}
    return client.fine_tuning.jobs.create(
        model="tiny-caps",
        training_file=factories.a_file().id,
        method={"type": "reinforcement", "reinforcement": reinforcement},  # pyright: ignore[reportArgumentType]
    )


def test_the_sdk_names_a_budget_and_raises_it(client: OpenAI) -> None:
    job = created(client, budget_usd=5.5)
    JobStore(PROJECT).transition(job.id, "paused")

    resumed = client.fine_tuning.jobs.resume(job.id, extra_body={"budget_usd": 40})

    assert job.budget_usd == 5.5
    assert resumed.model_extra is not None
    assert resumed.model_extra["budget_usd"] == 40


def test_a_job_without_a_budget_gets_the_deployments_and_resumes_without_a_body(client: OpenAI) -> None:
    job = created(client)
    JobStore(PROJECT).transition(job.id, "paused")

    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    assert stored(job).budget_usd == 100


def test_a_budget_that_pays_for_nothing_is_refused_with_what_would_do(client: OpenAI) -> None:
    with pytest.raises(
        openai.BadRequestError, match=r"\$0.10 is too little.*ml.g6e.xlarge.*at least \$0.44"
    ) as raised:
        created(client, budget_usd=0.1)

    assert raised.value.param == "method.reinforcement.hyperparameters.budget_usd"


@pytest.mark.parametrize("budget", [0, -1, "20", True])
def test_a_budget_that_is_none_is_refused(client: OpenAI, budget: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="budget_usd"):
        created(client, budget_usd=budget)
    job = created(client)
    JobStore(PROJECT).transition(job.id, "paused")
    with pytest.raises(openai.BadRequestError, match="budget_usd"):
        client.fine_tuning.jobs.resume(job.id, extra_body={"budget_usd": budget})
