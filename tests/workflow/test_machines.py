"""A job asks for one machine after the other until SageMaker gives it one, and says what it was told."""

from collections.abc import Callable

import pytest

from outcrop.operations import jobs, training
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.workflow.conftest import Workflow
from tests.workflow.training import completes, goes_on, is_killed, loses_its_spot_instance

PROJECT = factories.PROJECT
FIRST, SECOND = "ml.g6e.xlarge", "ml.g7e.2xlarge"

Set = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def set_to(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Two machines that fit, each asked for once: `set_to("SPOT", "true")` sets something else."""

    def change(name: str, value: str) -> None:
        monkeypatch.setenv(f"OUTCROP_{name}", value)
        settings.cache_clear()

    change("INSTANCE_TYPES", f'{{"tiny-caps": ["{FIRST}", "{SECOND}"], "*": ["ml.p5.4xlarge"]}}')
    change("MAX_WAIT_SECONDS", "0")
    return change


def a_new_job() -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id)


def stored(job: FineTuningJob) -> FineTuningJob:
    return JobStore(PROJECT).get(job.id)


def messages(job: FineTuningJob) -> list[str]:
    return [event.message for event in EventStore(PROJECT, job.id).list(limit=100).data][::-1]


def names(workflow: Workflow) -> list[str]:
    return [request["TrainingJobName"] for request in workflow.training_jobs.requests]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", ["no_capacity", "pending"])
def test_where_there_is_no_machine_the_next_one_is_asked_for(
    workflow: Workflow, times: int, fault: str
) -> None:
    workflow.times = times
    workflow.training_jobs.faults = {FIRST: [fault]}  # pyright: ignore[reportAttributeAccessIssue]

    job = workflow.run(a_new_job())

    assert (job.status, job.attempt, job.training_job) == ("succeeded", 1, f"{job.id}-1-2")
    assert workflow.training_jobs.machines == [FIRST, SECOND]
    assert names(workflow) == [f"{job.id}-1", f"{job.id}-1-2"]
    assert f"Asking for {FIRST} to train on" in messages(job)
    (instead,) = (one for one in messages(job) if one.startswith(f"Asking for {SECOND} instead of {FIRST}: "))
    assert "none free" in instead or "not free for as long as we waited" in instead


def test_where_a_quota_does_not_allow_a_machine_the_next_one_is_asked_for(workflow: Workflow) -> None:
    workflow.training_jobs.faults = {FIRST: ["quota_zero"]}

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert workflow.training_jobs.machines == [SECOND]
    quota = f"the quota '{FIRST} for training job usage' is 0"
    assert f"Asking for {SECOND} instead of {FIRST}: {quota}" in messages(job)


@pytest.mark.parametrize("times", [1, 2])
def test_quotas_that_allow_no_machine_fail_the_job_and_are_named(workflow: Workflow, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.faults = {FIRST: ["quota_zero"] * 4, SECOND: ["quota_zero"] * 4}

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "quota_exceeded"
    for machine in (FIRST, SECOND):
        assert f"{machine}: the quota '{machine} for training job usage' is 0" in job.error.message
    assert workflow.wait(job) == "SUCCEEDED"


def test_a_job_that_may_not_wait_fails_and_names_what_was_tried(workflow: Workflow) -> None:
    workflow.training_jobs.faults = {FIRST: ["no_capacity"], SECOND: ["quota_zero"]}

    job = workflow.run(a_new_job())

    assert job.error is not None
    assert job.error.code == "capacity_unavailable"
    assert f"{FIRST}: AWS has none free at the moment (CapacityError: Unable" in job.error.message
    assert f"{SECOND}: the quota '{SECOND} for training job usage' is 0" in job.error.message


def test_a_job_that_may_wait_asks_for_all_machines_again(workflow: Workflow, set_to: Set) -> None:
    set_to("MAX_WAIT_SECONDS", "3600")
    workflow.training_jobs.faults = {FIRST: ["no_capacity"] * 2, SECOND: ["quota_in_use", "no_capacity"]}

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert workflow.training_jobs.machines == [FIRST, FIRST, SECOND, FIRST]
    waits = [one for one in messages(job) if one.startswith("No machine is free.")]
    assert [one.rpartition(". ")[2] for one in waits] == ["Asking again in 1 min.", "Asking again in 2 min."]
    assert f"Asking for {FIRST} to train on (round 3)" in messages(job)


@pytest.mark.parametrize(("leave", "status"), [(jobs.cancel, "cancelled"), (jobs.pause, "paused")])
@pytest.mark.parametrize("step", ["classify_stop", "prepare_training"])
def test_a_job_told_to_leave_between_two_machines_leaves(
    workflow: Workflow, leave: Callable[[str, str], FineTuningJob], status: str, step: str
) -> None:
    workflow.training_jobs.faults = {FIRST: ["no_capacity"]}
    job = a_new_job()
    seen: list[str] = []

    def tell(name: str) -> None:
        seen.append(name)
        if name == step and "classify_stop" in seen:
            leave(job.id, PROJECT)

    workflow.before = tell
    workflow.run(job)

    assert stored(job).status == status
    assert workflow.training_jobs.machines == [FIRST]
    assert workflow.wait(job) == "SUCCEEDED"


@pytest.mark.parametrize("leave", [jobs.cancel, jobs.pause])
def test_the_trainer_on_the_second_machine_is_the_one_that_is_told_to_stop(
    workflow: Workflow, leave: Callable[[str, str], FineTuningJob]
) -> None:
    workflow.training_jobs.faults = {FIRST: ["no_capacity"]}
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    leave(job.id, PROJECT)
    workflow.wait(job)

    second = workflow.training_jobs.describe(f"{job.id}-1-2")
    assert second is not None and second["TrainingJobStatus"] == "Stopped"


def test_an_attempt_after_an_interruption_begins_with_the_first_machine(workflow: Workflow) -> None:
    workflow.training_jobs.faults = {FIRST: ["no_capacity"]}
    workflow.training_jobs.scripts = [is_killed, completes]

    job = workflow.run(a_new_job())

    assert (job.status, job.attempt) == ("succeeded", 2)
    assert names(workflow) == [f"{job.id}-1", f"{job.id}-1-2", f"{job.id}-2"]
    assert workflow.training_jobs.machines == [FIRST, SECOND, FIRST]
    assert f"Asking for {FIRST} to train on (attempt 2)" in messages(job)


def test_spot_instances_come_first_and_on_demand_after_them(workflow: Workflow, set_to: Set) -> None:
    set_to("SPOT", "true")
    workflow.training_jobs.faults = {FIRST: ["no_spot"], SECOND: ["no_spot"]}

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert workflow.training_jobs.machines == [f"{FIRST} spot", f"{SECOND} spot", FIRST]
    spot, _, on_demand = workflow.training_jobs.requests
    assert spot["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 88_200}
    assert on_demand["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 86_400,
        "MaxPendingTimeInSeconds": 1_800,
    }


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_whose_spot_instance_is_gone_goes_on_on_demand(
    workflow: Workflow, set_to: Set, times: int
) -> None:
    set_to("SPOT", "true")
    workflow.times = times
    workflow.training_jobs.scripts = [loses_its_spot_instance]
    workflow.training_jobs.faults = {SECOND: ["no_spot"]}

    job = workflow.run(a_new_job())

    assert (job.status, job.attempt, job.interruptions) == ("succeeded", 1, 0)
    assert workflow.training_jobs.machines == [f"{FIRST} spot", f"{SECOND} spot", FIRST]


def test_a_job_that_has_trained_and_finds_no_machine_to_go_on_is_paused(
    workflow: Workflow, set_to: Set
) -> None:
    set_to("SPOT", "true")
    set_to("INSTANCE_TYPES", f'{{"*": ["{FIRST}"]}}')
    workflow.training_jobs.scripts = [loses_its_spot_instance]
    job = a_new_job()

    def no_machine_any_more(step: str) -> None:
        if step == "classify_stop":
            workflow.training_jobs.faults[FIRST] = ["no_capacity"]

    workflow.before = no_machine_any_more
    job = workflow.run(job)

    assert (job.status, job.pause_requested, job.error) == ("paused", None, None)
    assert [one for one in messages(job) if one.startswith("No machine is free to go on with.")]
    workflow.before = lambda step: None
    workflow.training_jobs.faults = {}
    resumed = jobs.resume(job.id, Call(PROJECT, "key", f"/fine_tuning/jobs/{job.id}/resume", "fingerprint"))
    workflow.wait(resumed)
    assert stored(job).status == "succeeded"


def test_a_pause_between_two_machines_of_a_job_that_has_trained_takes_effect(
    workflow: Workflow, set_to: Set
) -> None:
    set_to("SPOT", "true")
    workflow.training_jobs.scripts = [loses_its_spot_instance]
    job = a_new_job()
    seen: list[str] = []

    def pause(step: str) -> None:
        seen.append(step)
        if step == "prepare_training" and "classify_stop" in seen:
            jobs.pause(job.id, PROJECT)

    workflow.before = pause
    workflow.run(job)

    assert (stored(job).status, stored(job).pause_requested) == ("paused", None)
    assert workflow.training_jobs.machines == [f"{FIRST} spot"]
