"""A job paused at any moment ends paused, with no trainer left, and goes on where it was when resumed."""

from collections.abc import Callable

import boto3
import pytest

from outcrop import s3_keys
from outcrop.errors import StateError
from outcrop.operations import jobs, training, training_end, training_stop
from outcrop.operations.launches import Launch
from outcrop.settings import settings
from outcrop.stores import clients
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.api.wire import Lost, lost
from tests.workflow.conftest import Workflow
from tests.workflow.training import (
    Script,
    completes,
    fails,
    goes_on,
    is_killed,
    leaves_no_result,
    runs_out_of_time,
)

PROJECT = factories.PROJECT


def a_new_job() -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id)


def stored(job: FineTuningJob) -> FineTuningJob:
    return JobStore(PROJECT).get(job.id)


def pause(job: FineTuningJob) -> FineTuningJob:
    return jobs.pause(job.id, PROJECT)


def resume(job: FineTuningJob) -> FineTuningJob:
    return jobs.resume(job.id, Call(PROJECT, "key", f"/fine_tuning/jobs/{job.id}/resume", "fingerprint"))


def messages(job: FineTuningJob) -> list[str]:
    return [event.message for event in EventStore(PROJECT, job.id).list(limit=100).data][::-1]


def at(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """A hook that acts before the first invocation of a step."""
    done: list[str] = []

    def hook(name: str) -> None:
        if name == step and not done:
            done.append(name)
            act()

    return hook


def assert_paused(workflow: Workflow, job: FineTuningJob) -> None:
    job = stored(job)
    assert (job.status, job.pause_requested, job.error, job.finished_at) == ("paused", None, None, None)
    assert job.fine_tuned_model is None
    assert ModelStore(PROJECT).get(f"ft:tiny-caps:acme::{job.id[-8:]}") is None
    for request in workflow.training_jobs.requests:
        description = workflow.training_jobs.describe(request["TrainingJobName"])
        assert description is not None and description["TrainingJobStatus"] != "InProgress"


def assert_resumes(workflow: Workflow, job: FineTuningJob, *, attempt: int = 2) -> None:
    """Resumed, it succeeds as that attempt, by a training job of its own."""
    resumed = resume(job)
    assert (resumed.status, resumed.attempt) == ("queued", attempt)
    assert workflow.wait(resumed) == "SUCCEEDED"
    assert (stored(job).status, stored(job).attempt) == ("succeeded", attempt)
    names = [request["TrainingJobName"] for request in workflow.training_jobs.requests]
    assert names[-1] == f"{job.id}-{attempt}"
    assert len(names) == len(set(names))


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("step", ["validate_files", "prepare_training"])
def test_a_pause_before_training_takes_effect_at_once(workflow: Workflow, step: str, times: int) -> None:
    workflow.times = times
    job = a_new_job()
    workflow.before = at(step, lambda: pause(job))

    workflow.run(job)

    assert_paused(workflow, job)
    assert workflow.training_jobs.requests == []
    assert workflow.wait(job) == "SUCCEEDED"
    assert_resumes(workflow, job)


def test_a_job_resumed_from_a_pause_before_validation_is_validated(workflow: Workflow) -> None:
    job = factories.a_job(training_file=factories.a_file(content=b"not JSON", status="uploaded").id)
    pause(job)

    resumed = resume(job)
    workflow.wait(resumed)

    error = stored(job).error
    assert error is not None and error.code == "invalid_training_file"


@pytest.mark.parametrize("times", [1, 2])
def test_a_running_job_is_paused_when_its_trainer_has_left_and_resumed(
    workflow: Workflow, times: int
) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    assert pause(job).status == "running"
    assert pause(job).pause_requested

    assert workflow.wait(job) == "SUCCEEDED"
    assert_paused(workflow, job)
    assert messages(job)[-2:] == [
        "Pausing the job: its trainer saves a checkpoint and leaves",
        "The job is paused before its first checkpoint",
    ]
    assert_resumes(workflow, job)


def test_a_job_can_be_paused_again_and_again(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [goes_on] * 4
    job = a_new_job()
    training.start(job)
    for attempt in range(1, 5):
        workflow.wait_for_status(job, "running")
        pause(job)
        workflow.wait(stored(job))
        assert stored(job).status == "paused"
        if attempt < 4:
            resume(job)

    assert_resumes(workflow, job, attempt=5)
    assert stored(job).interruptions == 0


@pytest.mark.parametrize("outcome", [is_killed, runs_out_of_time, leaves_no_result])
def test_however_the_trainer_ends_while_a_pause_is_asked_for_the_job_is_paused(
    workflow: Workflow, outcome: Script
) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    JobStore(PROJECT).request_pause(job.id)  # and the call to the trainer got lost
    workflow.training_jobs.end(f"{job.id}-1", outcome)
    workflow.wait(job)

    assert_paused(workflow, job)
    assert_resumes(workflow, job)


def test_a_trainer_that_finishes_anyway_makes_the_job_succeed(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    JobStore(PROJECT).request_pause(job.id)
    workflow.training_jobs.end(f"{job.id}-1", completes)
    workflow.wait(job)

    assert (stored(job).status, stored(job).pause_requested) == ("succeeded", None)
    with pytest.raises(StateError, match="is succeeded; it cannot be paused"):
        pause(job)


def test_a_trainer_that_was_stopped_after_it_had_finished_makes_the_job_succeed(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")
    result = b'{"step": 24, "adapter_key": "a/", "trained_tokens": 5, "metrics": {}}'
    ObjectStore().put(s3_keys.result(PROJECT, job.id, 1), result)

    pause(job)
    workflow.wait(job)

    assert stored(job).status == "succeeded"


def test_a_training_that_fails_while_a_pause_is_asked_for_fails_the_job(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    JobStore(PROJECT).request_pause(job.id)
    workflow.training_jobs.end(f"{job.id}-1", fails("AlgorithmError: The grader is wrong., exit code: 1"))
    workflow.wait(job)

    assert (stored(job).status, stored(job).pause_requested) == ("failed", None)


def test_a_pause_between_a_failed_machine_and_the_next_attempt_wins(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [is_killed]
    job = a_new_job()
    prepared: list[str] = []

    def pause_before_the_second_attempt(step: str) -> None:
        prepared.append(step)
        if prepared.count("prepare_training") == 2 and step == "prepare_training":
            pause(job)

    workflow.before = pause_before_the_second_attempt
    workflow.run(job)

    assert_paused(workflow, job)
    assert_resumes(workflow, job)


def test_pauses_do_not_count_as_failures_of_a_machine(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [goes_on, goes_on, goes_on, is_killed, is_killed, completes]
    job = a_new_job()
    training.start(job)
    for _ in range(3):
        workflow.wait_for_status(job, "running")
        pause(job)
        workflow.wait(stored(job))
        job = resume(job)

    workflow.wait(job)

    assert (stored(job).status, stored(job).attempt, stored(job).interruptions) == ("succeeded", 6, 2)


@pytest.mark.parametrize("moment", ["paused", "pausing"])
def test_a_cancel_wins_over_a_pause(workflow: Workflow, moment: str) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")
    if moment == "pausing":
        JobStore(PROJECT).request_pause(job.id)
    else:
        pause(job)
        workflow.wait(job)

    jobs.cancel(job.id, PROJECT)
    workflow.wait(job)

    assert (stored(job).status, stored(job).pause_requested) == ("cancelled", None)
    with pytest.raises(StateError, match="is cancelled"):
        resume(job)


def test_a_trainer_that_starts_after_the_pause_leaves_at_once(workflow: Workflow) -> None:
    job = a_new_job()
    training.validate_files(PROJECT, job.id, 1)
    request = training.prepare(PROJECT, job.id, 1).training_job
    assert request is not None

    pause(job)  # there is no training job to stop yet
    workflow.training_jobs.start(request)
    training_end.register_model(PROJECT, job.id, 1)

    assert_paused(workflow, job)
    assert_resumes(workflow, job)


def test_a_trainer_of_an_attempt_that_was_paused_leaves_the_resumed_one_alone(workflow: Workflow) -> None:
    job = a_new_job()
    training.validate_files(PROJECT, job.id, 1)
    request = training.prepare(PROJECT, job.id, 1).training_job
    assert request is not None
    pause(job)
    JobStore(PROJECT).transition(job.id, "queued", attempt=2)

    workflow.training_jobs.start(request)
    training_end.register_model(PROJECT, job.id, 1)
    training_end.abandon(PROJECT, job.id, 1, "late")
    late = training_stop.classify(PROJECT, job.id, 1, Launch(), "", "")

    assert late.next == "over"
    assert training.validate_files(PROJECT, job.id, 1).done
    assert training.prepare(PROJECT, job.id, 1).done
    assert (stored(job).status, stored(job).attempt) == ("queued", 2)


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_a_crash_between_the_pause_and_the_call_to_the_trainer_is_repaired_by_pausing_again(
    workflow: Workflow, status: str
) -> None:
    job = a_new_job()
    if status == "queued":
        JobStore(PROJECT).transition(job.id, "queued")
    if status == "running":
        workflow.training_jobs.scripts = [goes_on]
        training.start(job)
        workflow.wait_for_status(job, "running")
    with lost(clients.client("sagemaker"), "sagemaker.StopTrainingJob"), pytest.raises(Lost):
        pause(job)

    pause(job)
    if status == "running":
        workflow.wait(job)

    assert_paused(workflow, job)
    assert_resumes(workflow, job)


def test_a_crash_between_the_resume_and_the_start_of_its_workflow_is_repaired_by_looking_at_the_job(
    workflow: Workflow,
) -> None:
    job = factories.a_job(status="paused", training_file=factories.a_file().id)
    with lost(clients.client("stepfunctions"), "sfn.StartExecution"), pytest.raises(Lost):
        resume(job)

    started = jobs.retrieve(job.id, PROJECT)
    workflow.wait(started)

    assert (stored(job).status, stored(job).attempt) == ("succeeded", 2)


def test_a_start_that_is_repeated_starts_one_execution(workflow: Workflow) -> None:
    job = factories.a_job(status="paused", training_file=factories.a_file().id)

    resumed = resume(job)
    for _ in range(3):
        training.start(resumed)
    workflow.wait(resumed)

    names = [request["TrainingJobName"] for request in workflow.training_jobs.requests]
    assert names == [f"{job.id}-2"]


@pytest.mark.parametrize(("pause_requested", "ends_as"), [(True, "paused"), (None, "succeeded")])
def test_a_restart_pauses_a_job_that_was_being_paused(
    workflow: Workflow, pause_requested: bool | None, ends_as: str
) -> None:
    job = factories.a_job(
        status="running", pause_requested=pause_requested, training_file=factories.a_file().id
    )

    training.take_up(job)
    if not pause_requested:
        workflow.wait(stored(job))

    assert stored(job).status == ends_as


def test_a_restart_leaves_a_paused_job_paused(workflow: Workflow) -> None:
    job = factories.a_job(status="paused")

    training.take_up(job)

    assert stored(job) == job
    started = boto3.client("stepfunctions").list_executions(stateMachineArn=settings().state_machine_arn)
    assert started["executions"] == []
