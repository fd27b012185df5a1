"""Whoever listens on EventBridge hears how each job ended: at least once, and once if nothing was lost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import openai
import pytest
from openai import OpenAI

from outcrop.operations import jobs, training
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.account import make_clients_anew
from tests.conftest import MakeJob
from tests.workflow.conftest import Workflow
from tests.workflow.training import fails, goes_on

PROJECT = factories.PROJECT


@dataclass
class Listener:
    """Hears every event that is put; the next `deaf` calls fail as when it is down."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    deaf: int = 0

    def __call__(self, params: dict[str, Any], **_: Any) -> Any:
        if self.deaf:
            self.deaf -= 1
            error = {"Code": "InternalException", "Message": "An internal error occurred."}
            return SimpleNamespace(status_code=500), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 500},
            }
        (entry,) = json.loads(params["body"])["Entries"]
        self.heard.append({**entry, "Detail": json.loads(entry["Detail"])})
        return None


@pytest.fixture
def listener(aws: object) -> Iterator[Listener]:
    listener = Listener()
    yield from _on_session(listener)


@pytest.fixture
def listener_of_workflow(workflow: Workflow) -> Iterator[Listener]:
    """The emulated workflow has a session of its own."""
    yield from _on_session(Listener())


def _on_session(listener: Listener) -> Iterator[Listener]:
    session = boto3.DEFAULT_SESSION
    assert session is not None
    session.events.register("before-call.events.PutEvents", listener)
    make_clients_anew()
    yield listener
    session.events.unregister("before-call.events.PutEvents", listener)
    make_clients_anew()


def a_new_job(**fields: Any) -> FineTuningJob:
    return factories.a_job(**{"training_file": factories.a_file().id, **fields})


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_that_succeeds_is_told_of_once(
    workflow: Workflow, listener_of_workflow: Listener, times: int
) -> None:
    workflow.times = times

    job = workflow.run(a_new_job())

    assert listener_of_workflow.heard == [
        {
            "Source": "outcrop",
            "DetailType": "Fine-tuning job ended",
            "Detail": {
                "project": PROJECT,
                "job_id": job.id,
                "status": "succeeded",
                "fine_tuned_model": job.fine_tuned_model,
                "error_code": None,
            },
        }
    ]


def test_a_job_that_fails_in_training_is_told_of_once(
    workflow: Workflow, listener_of_workflow: Listener
) -> None:
    workflow.training_jobs.scripts = [fails("AlgorithmError: no memory, exit code: 1")]

    job = workflow.run(a_new_job())

    (event,) = listener_of_workflow.heard
    assert event["Detail"]["job_id"] == job.id
    assert (event["Detail"]["status"], event["Detail"]["error_code"]) == ("failed", "training_failed")


def test_a_job_whose_file_is_bad_is_told_of_once(workflow: Workflow, listener_of_workflow: Listener) -> None:
    file = factories.a_file(content=b"not JSON\n", status="uploaded")

    workflow.run(a_new_job(training_file=file.id))

    (event,) = listener_of_workflow.heard
    assert event["Detail"]["error_code"] == "invalid_training_file"


def test_a_pause_is_not_an_end(workflow: Workflow, listener_of_workflow: Listener) -> None:
    workflow.training_jobs.scripts = [goes_on]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    jobs.pause(job.id, PROJECT)
    workflow.wait(job)

    assert JobStore(PROJECT).get(job.id).status == "paused"
    assert listener_of_workflow.heard == []


def test_what_eventbridge_did_not_take_is_told_by_the_next_try_of_the_step(
    workflow: Workflow, listener_of_workflow: Listener
) -> None:
    listener_of_workflow.deaf = 1  # the step fails, and is tried again

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    (event,) = listener_of_workflow.heard
    assert event["Detail"]["status"] == "succeeded"


def test_a_cancel_tells_at_once(listener: Listener, client: OpenAI, a_job: MakeJob) -> None:
    job = a_job(status="paused")  # nothing else would: no workflow runs

    client.fine_tuning.jobs.cancel(job.id)
    client.fine_tuning.jobs.cancel(job.id)

    (event,) = listener.heard
    assert event["Detail"] == {
        "project": PROJECT,
        "job_id": job.id,
        "status": "cancelled",
        "fine_tuned_model": None,
        "error_code": None,
    }


def test_a_cancel_that_could_not_tell_is_repeated_by_the_sdk(
    listener: Listener, client: OpenAI, a_job: MakeJob
) -> None:
    job = a_job(status="paused")
    listener.deaf = 1

    with pytest.raises(openai.InternalServerError):
        client.fine_tuning.jobs.cancel(job.id)
    repeated = client.fine_tuning.jobs.cancel(job.id)

    assert repeated.status == "cancelled"
    assert [event["Detail"]["status"] for event in listener.heard] == ["cancelled"]


def test_no_answer_shows_whether_the_end_was_told(listener: Listener, client: OpenAI, a_job: MakeJob) -> None:
    cancelled = client.fine_tuning.jobs.cancel(a_job(status="paused").id)

    assert "end_told" not in client.fine_tuning.jobs.retrieve(cancelled.id).model_dump()
