"""A project trains so many jobs at a time; the others wait their turn, and leave when they are told to."""

from collections.abc import Callable

import pytest

from outcrop.operations import jobs, training
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.workflow.conftest import Workflow
from tests.workflow.training import completes, goes_on, is_killed

PROJECT = factories.PROJECT


@pytest.fixture(autouse=True)
def _one_at_a_time(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_MAX_CONCURRENT_JOBS", "1")
    settings.cache_clear()


def a_new_job(project: str = PROJECT) -> FineTuningJob:
    return factories.a_job(project=project, training_file=factories.a_file(project=project).id)


def stored(job: FineTuningJob) -> FineTuningJob:
    return JobStore(job.organization_id).get(job.id)


def trained(workflow: Workflow) -> list[str]:
    return [request["TrainingJobName"] for request in workflow.training_jobs.requests]


def started(workflow: Workflow, *started_jobs: FineTuningJob) -> None:
    """The first of them trains until it is ended, the others wait."""
    workflow.training_jobs.scripts = [goes_on]
    first, *others = started_jobs
    training.start(first)
    workflow.wait_for_status(first, "running")
    for job in others:
        training.start(job)
        workflow.wait_for_status(job, "queued")


def test_jobs_train_one_after_the_other_in_the_order_of_their_creation(workflow: Workflow) -> None:
    waiting = [a_new_job() for _ in range(3)]
    started(workflow, *waiting)

    workflow.training_jobs.end(f"{waiting[0].id}-1", completes)
    for job in waiting:
        workflow.wait(job)

    assert [stored(job).status for job in waiting] == ["succeeded"] * 3
    assert trained(workflow) == [f"{job.id}-1" for job in waiting]


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_that_waits_says_so_once(workflow: Workflow, times: int) -> None:
    workflow.times = times
    first, second = a_new_job(), a_new_job()
    started(workflow, first, second)
    asked: list[str] = []

    def end_the_first_at_the_third_look(step: str) -> None:
        asked.append(step)
        if asked.count("prepare_training") == 3:
            workflow.training_jobs.end(f"{first.id}-1", completes)

    workflow.before = end_the_first_at_the_third_look
    workflow.wait(second)

    said = [event.message for event in EventStore(PROJECT, second.id).list(limit=100).data]
    assert stored(second).status == "succeeded"
    assert said.count("Waiting for 1 job before it: 1 of a project may train at the same time") == 1


@pytest.mark.parametrize(("leave", "status"), [(jobs.cancel, "cancelled"), (jobs.pause, "paused")])
def test_a_waiting_job_leaves_at_once_when_told_to_and_its_workflow_ends(
    workflow: Workflow, leave: Callable[[str, str], FineTuningJob], status: str
) -> None:
    first, second, third = a_new_job(), a_new_job(), a_new_job()
    started(workflow, first, second, third)

    answer = leave(second.id, PROJECT)
    workflow.wait(second)
    workflow.training_jobs.end(f"{first.id}-1", completes)
    workflow.wait(third)

    assert answer.status == stored(second).status == status
    assert trained(workflow) == [f"{first.id}-1", f"{third.id}-1"]


def test_another_projects_job_does_not_wait(workflow: Workflow) -> None:
    first = a_new_job()
    started(workflow, first)

    other = workflow.run(a_new_job(project="umbrella"))

    assert (stored(first).status, other.status) == ("running", "succeeded")
    workflow.training_jobs.end(f"{first.id}-1", completes)
    workflow.wait(first)


def test_an_interrupted_job_keeps_its_place(workflow: Workflow) -> None:
    first, second = a_new_job(), a_new_job()
    started(workflow, first, second)

    workflow.training_jobs.end(f"{first.id}-1", is_killed)
    for job in (first, second):
        workflow.wait(job)

    assert trained(workflow) == [f"{first.id}-1", f"{first.id}-2", f"{second.id}-1"]


def test_the_wait_grows_with_time_and_with_the_turns_before_it() -> None:
    seconds = training.seconds_to_wait

    assert seconds(0) == 2
    assert seconds(600) == 60
    assert seconds(12 * 3600) == 300
    assert seconds(24 * 3600) == 600
    assert seconds(0, turns=40) == 80
    assert seconds(0, turns=4000) == 300


def test_months_of_waiting_fit_into_one_execution() -> None:
    waited = looks = 0
    while looks * 9 < 24_000:  # of 25,000 events, nine for each look
        waited += training.seconds_to_wait(waited)
        looks += 1

    assert waited > 30 * 24 * 3600
