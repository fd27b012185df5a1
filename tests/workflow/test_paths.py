"""The state machine goes every way that its definition has, and ends whatever fails, repeats or is slow."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from outcrop.operations import jobs, training
from outcrop.settings import settings
from outcrop.stores.files import FileStore
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.workflow.conftest import Workflow
from tests.workflow.training import fails, goes_on, is_killed

PROJECT = factories.PROJECT
STEPS = {
    "validate_files": "ValidateFiles",
    "prepare_training": "PrepareTraining",
    "classify_stop": "ClassifyStop",
    "register_model": "RegisterModel",
}
MACHINE = "ml.m5.large"
FAILS = fails("AlgorithmError: it failed, exit code: 1")

EVENTS = {"Task": 5, "Choice": 2, "Wait": 2, "Pass": 2, "Train": 6}
"""Of one visit to a state; each retry of a task adds three."""

Edges = set[tuple[str, str]]


@pytest.fixture(autouse=True)
def _two_machines(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", f'{{"*": ["{MACHINE}", "ml.m5.xlarge"]}}')
    monkeypatch.setenv("OUTCROP_MAX_CONCURRENT_JOBS", "1")
    settings.cache_clear()


def a_new_job(**fields: Any) -> FineTuningJob:
    return factories.a_job(**{"training_file": factories.a_file().id, **fields})


def at_once(states: dict[str, Any]) -> None:
    """Without a wait or a retry."""
    for state in states.values():
        if state["Type"] == "Wait":
            state["Seconds"] = 0
        for retry in state.get("Retry", ()):
            retry["MaxAttempts"] = 0


def ways_of(definition: dict[str, Any]) -> Edges:
    """Every step from a state to another that the definition knows."""
    return {
        (name, target)
        for name, state in definition["States"].items()
        for target in (
            *([state["Next"]] if "Next" in state else []),
            *([state["Default"]] if "Default" in state else []),
            *(choice["Next"] for choice in state.get("Choices", ())),
            *(catch["Next"] for catch in state.get("Catch", ())),
        )
    }


def gone(workflow: Workflow, job: FineTuningJob) -> Edges:
    """The ways that an execution went."""
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in workflow.history(job)
        if "stateEnteredEventDetails" in event
    ]
    return set(itertools.pairwise(entered))


def hook(workflow: Workflow, step: str, act: Callable[[], object], *, call: int = 1) -> None:
    """Act before the `call`th invocation of a step."""
    seen: list[str] = []

    def before(name: str) -> None:
        seen.append(name)
        if name == step and seen.count(step) == call:
            act()

    workflow.before = before


def broken() -> None:
    raise RuntimeError("no such table")


def executions(workflow: Workflow) -> Iterator[FineTuningJob]:
    """Jobs, each of which has gone another way to its end."""
    trainers, scripts = workflow.training_jobs, workflow.training_jobs.scripts
    yield a_new_job()

    late = factories.a_file(status="uploaded", upload_id="upload_1")
    files = FileStore(PROJECT)
    arrives = late.model_copy(update={"status": "processed", "upload_id": None})
    hook(workflow, "validate_files", lambda: files.put(arrives), call=2)
    yield a_new_job(training_file=late.id)

    workflow.before = lambda step: None
    yield a_new_job(training_file=factories.a_file(content=b"not JSON").id)

    ahead = a_new_job()
    scripts.append(goes_on)
    training.start(ahead)
    workflow.wait_for_status(ahead, "running")
    hook(workflow, "prepare_training", lambda: jobs.cancel(ahead.id, PROJECT), call=2)
    yield a_new_job()

    job = a_new_job()
    hook(workflow, "prepare_training", lambda: jobs.cancel(job.id, PROJECT))
    yield job

    workflow.before = lambda step: None
    trainers.faults = {MACHINE: ["no_capacity"] * 2, "ml.m5.xlarge": ["no_capacity"]}
    yield a_new_job()

    scripts.append(is_killed)
    yield a_new_job()

    lost = a_new_job()
    training.validate_files(PROJECT, lost.id, 1)
    request = training.prepare(PROJECT, lost.id, 1).training_job
    assert request
    scripts.append(goes_on)
    role = "arn:aws:iam::123456789012:role/training"
    boto3.client("sagemaker").create_training_job(RoleArn=role, **request)
    hook(workflow, "classify_stop", lambda: trainers.stop(f"{lost.id}-1"), call=2)
    yield lost

    paused = a_new_job()
    trainers.faults = {MACHINE: ["no_capacity"]}
    hook(workflow, "classify_stop", lambda: jobs.pause(paused.id, PROJECT))
    yield paused

    for step in STEPS:
        scripts.extend([FAILS] if step == "classify_stop" else [])
        hook(workflow, step, broken)
        yield a_new_job()


def test_every_way_of_the_definition_is_gone_and_every_execution_ends(workflow: Workflow) -> None:
    workflow.redefine(at_once)
    seen: Edges = set()

    for job in executions(workflow):
        training.start(job)
        workflow.wait(job)
        seen |= gone(workflow, job)
        status = JobStore(PROJECT).get(job.id).status
        assert status in ("succeeded", "failed", "cancelled", "paused"), (job.id, status)

    assert seen == ways_of(workflow.definition)


def test_every_state_is_reached_from_the_first(workflow: Workflow) -> None:
    reached, ways = {workflow.definition["StartAt"]}, ways_of(workflow.definition)

    while more := {target for name, target in ways if name in reached} - reached:
        reached |= more

    assert reached == set(workflow.definition["States"])


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_at_every_try_fails_the_job_readably(
    workflow: Workflow, template: dict[str, Any], step: str
) -> None:
    """With all the tries that the template has, one after the other."""
    text = json.dumps(template)
    tries = []

    def without_backoff(states: dict[str, Any]) -> None:
        for state in states.values():
            for retry in state.get("Retry", ()):
                retry.update(MaxAttempts=5, BackoffRate=1)

    def fail(name: str) -> None:
        if name == step:
            tries.append(name)
            broken()

    workflow.redefine(without_backoff)
    workflow.before = fail
    workflow.training_jobs.scripts = [FAILS] if step == "classify_stop" else []
    job = a_new_job()

    training.start(job)

    assert '\\"MaxAttempts\\":5' in text
    assert workflow.wait(job) == "FAILED"
    error = JobStore(PROJECT).get(job.id).error
    assert error is not None
    assert error.code == "internal_error"
    assert len(tries) == 6


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_never_answers_fails_the_job_readably(workflow: Workflow, step: str) -> None:
    is_over = threading.Event()

    def one_second(states: dict[str, Any]) -> None:
        at_once(states)
        states[STEPS[step]]["TimeoutSeconds"] = 1

    def never_answer(name: str) -> None:
        if name == step:
            is_over.wait(30)

    workflow.redefine(one_second)
    workflow.before = never_answer
    workflow.training_jobs.scripts = [FAILS] if step == "classify_stop" else []
    job = a_new_job()

    training.start(job)
    ended = workflow.wait(job)
    is_over.set()

    assert ended == "FAILED"
    error = JobStore(PROJECT).get(job.id).error
    assert error is not None
    assert "(States.Timeout)" in error.message


@pytest.mark.slow
def test_a_training_that_never_ends_is_stopped_and_its_job_paused(workflow: Workflow) -> None:
    workflow.redefine(lambda states: states["Train"].update(TimeoutSeconds=3))
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()

    training.start(job)
    workflow.wait_for_status(job, "running")
    description = workflow.training_jobs.describe(f"{job.id}-1")
    assert description is not None
    description["TrainingStartTime"] = description["CreationTime"]

    assert workflow.wait(job) == "SUCCEEDED"
    assert JobStore(PROJECT).get(job.id).status == "paused"


def test_an_event_of_every_kind_of_state_is_counted_right(workflow: Workflow) -> None:
    """The table in docs/architecture.md, from which the worst case of an execution follows."""
    workflow.redefine(at_once)
    workflow.training_jobs.faults = {MACHINE: ["no_capacity"], "ml.m5.xlarge": ["no_capacity"]}
    job = a_new_job()
    training.start(job)
    workflow.wait(job)

    counted: dict[str, int] = {}
    name = ""
    for event in workflow.history(job):
        name = event.get("stateEnteredEventDetails", {}).get("name", name)
        if name:
            counted[name] = counted.get(name, 0) + 1

    states = workflow.definition["States"]
    visits = [
        event["stateEnteredEventDetails"]["name"]
        for event in workflow.history(job)
        if "stateEnteredEventDetails" in event
    ]
    for name in ("PrepareTraining", "ClassifyStop", "IsPrepared", "IsStopped", "WaitForMachine", "Train"):
        assert counted[name] == visits.count(name) * EVENTS[name if name == "Train" else states[name]["Type"]]
