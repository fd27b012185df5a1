"""A job whose training image was put away, or deleted by hand: it waits while the image is built anew."""

import json
from collections.abc import Callable, Iterator

import boto3
import pytest

from outcrop.operations import jobs, training
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.account import Account
from tests.fakes.codebuild import LOG, FakeCodeBuild
from tests.operations.test_image_builds import codebuild, push
from tests.workflow.conftest import Workflow
from tests.workflow.test_paths import at_once, hook

__all__ = ["codebuild"]  # a fixture
IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/trainer:abc"
PROJECT = factories.PROJECT
BUILT_ANEW = (
    "The training image is being built anew, which takes about 10 to 20 minutes: it is put away when no job "
    "has been trained for 30 days (build images:{})"
)


@pytest.fixture(autouse=True)
def _an_image_of_its_own(
    aws: Account, workflow: Workflow, codebuild: FakeCodeBuild, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    workflow.redefine(at_once)
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", IMAGE)
    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", json.dumps({IMAGE: "images"}))
    settings.cache_clear()
    yield
    settings.cache_clear()


def a_new_job() -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id)


def said(job: FineTuningJob) -> list[str]:
    """What its events say of the image, oldest first."""
    events = EventStore(PROJECT, job.id).list(limit=100).data
    return [event.message for event in reversed(events) if "training image" in event.message]


def ends(codebuild: FakeCodeBuild, build: str, status: str, *problems: str) -> Callable[[], None]:
    def end() -> None:
        if status == "SUCCEEDED":
            push("abc")
        codebuild.end(build, status, *problems)

    return end


def deleted() -> None:
    boto3.client("ecr").batch_delete_image(repositoryName="trainer", imageIds=[{"imageTag": "abc"}])


def test_a_job_whose_image_is_there_starts_no_build(workflow: Workflow, codebuild: FakeCodeBuild) -> None:
    push("abc")

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert (codebuild.builds, said(job)) == ({}, [])


def test_a_job_waits_for_the_one_build_of_its_image_and_goes_on(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    workflow.times = 2  # every step runs twice
    hook(workflow, "prepare_training", ends(codebuild, "images:1", "SUCCEEDED"), call=3)

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert said(job) == [BUILT_ANEW.format(1), "The training image is there"]
    assert [*codebuild.builds] == ["images:1"]
    (request,) = workflow.training_jobs.requests
    assert request["AlgorithmSpecification"]["TrainingImage"] == IMAGE


def test_jobs_that_wait_at_the_same_time_have_one_build(codebuild: FakeCodeBuild) -> None:
    """Those that look before there is a build, too: they start the same."""
    waiting = [a_new_job() for _ in range(2)]
    for job in waiting:
        training.validate_files(PROJECT, job.id, 1)

    waits = [training.prepare(PROJECT, job.id, 1).wait for job in waiting * 2]
    codebuild.builds, seen = {}, codebuild.builds  # as a list that does not have the build yet
    training.prepare(PROJECT, waiting[0].id, 1)

    assert all(waits)
    assert [*seen] == ["images:1"]
    assert [*codebuild.tokens.values()] == ["images:1"]


def test_a_build_of_the_deployment_is_waited_for_and_no_other_started(codebuild: FakeCodeBuild) -> None:
    request = [{"name": "OUTCROP_REQUEST", "value": "{}", "type": "PLAINTEXT"}]
    client = boto3.client("codebuild")
    client.start_build(
        projectName="images",
        idempotencyToken="request",
        environmentVariablesOverride=request,  # pyright: ignore[reportArgumentType]
    )
    job = a_new_job()
    training.validate_files(PROJECT, job.id, 1)

    assert training.prepare(PROJECT, job.id, 1).wait
    assert [*codebuild.builds] == ["images:1"]


def test_a_build_that_fails_fails_the_job_with_its_reason_and_its_log_and_the_next_job_tries_again(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    problem = "Error while executing command: docker push. Reason: exit status 1"
    hook(workflow, "prepare_training", ends(codebuild, "images:1", "FAILED", problem), call=2)

    failed = workflow.run(a_new_job())
    hook(workflow, "prepare_training", ends(codebuild, "images:2", "SUCCEEDED"), call=2)
    later = workflow.run(a_new_job())

    assert failed.error is not None
    assert failed.error.code == "training_image_missing"
    assert failed.error.message == (
        "The training image could not be built anew. The build of the image ended as FAILED. "
        f"{problem} Its log: {LOG}"
    )
    assert (failed.status, later.status) == ("failed", "succeeded")
    assert said(later)[0] == BUILT_ANEW.format(2)


def test_what_counts_is_the_image_and_not_how_a_build_ended(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    """Of two builds of one tag, the second cannot push it."""

    def another_was_first() -> None:
        push("abc")
        codebuild.end("images:1", "FAILED", "tag abc already exists")

    hook(workflow, "prepare_training", another_was_first, call=2)

    assert workflow.run(a_new_job()).status == "succeeded"


def test_an_image_that_was_put_away_while_a_job_was_paused_is_built_once_more(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    """Its events tell of the first build, which is over, and is not taken for the second."""
    job = a_new_job()
    training.validate_files(PROJECT, job.id, 1)
    training.prepare(PROJECT, job.id, 1)
    ends(codebuild, "images:1", "SUCCEEDED")()
    jobs.pause(job.id, PROJECT)
    deleted()
    JobStore(PROJECT).transition(job.id, "queued", of_attempt=1, attempt=2)
    hook(workflow, "prepare_training", ends(codebuild, "images:2", "SUCCEEDED"), call=2)

    assert workflow.run(JobStore(PROJECT).get(job.id)).status == "succeeded"
    assert [*codebuild.builds] == ["images:1", "images:2"]


@pytest.mark.parametrize(("end", "status"), [(jobs.cancel, "cancelled"), (jobs.pause, "paused")])
def test_a_job_that_waits_for_its_image_can_be_cancelled_and_paused(
    workflow: Workflow, codebuild: FakeCodeBuild, end: Callable[[str, str], object], status: str
) -> None:
    job = a_new_job()
    hook(workflow, "prepare_training", lambda: end(job.id, PROJECT), call=2)

    assert workflow.run(job).status == status
    assert workflow.training_jobs.requests == []


def test_a_build_that_cannot_be_started_fails_the_job_in_words(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    codebuild.refuses = "AccountLimitExceededException"

    job = workflow.run(a_new_job())

    assert job.error is not None
    assert job.error.code == "training_image_missing"
    assert "Cannot have more than 0 builds in queue" in job.error.message


def test_an_image_of_another_release_is_not_built_in_its_place(
    workflow: Workflow, codebuild: FakeCodeBuild
) -> None:
    """CodeBuild has the sources of the newest deployment; their image is not the one of this workflow."""
    codebuild.tag = "def"

    job = workflow.run(a_new_job())

    assert job.error is not None
    assert job.error.code == "training_image_missing"
    assert "makes the tag def by now, and jobs here train with abc" in job.error.message
    assert codebuild.builds == {}


def test_an_image_that_the_setting_names_is_not_looked_for(
    workflow: Workflow, codebuild: FakeCodeBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", "{}")
    settings.cache_clear()

    assert workflow.run(a_new_job()).status == "succeeded"
    assert codebuild.builds == {}
