"""A job whose model is not in the bucket yet: the real workflow, the real sync, and a hub on loopback."""

from dataclasses import replace
from typing import Any

import pytest

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.operations import jobs, training, weights
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.fakes.hugging_face import Fault, HuggingFace
from tests.weights import weights_machine
from tests.weights.conftest import objects, open_uploads
from tests.workflow.conftest import Workflow, template, workflow

__all__ = ["template", "workflow"]  # fixtures


@pytest.fixture(autouse=True)
def _weights_workflow(
    workflow: Workflow,
    hub: HuggingFace,
    weights_template: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflow.handlers |= weights_machine.handlers(weights_template)
    monkeypatch.setenv("OUTCROP_WEIGHTS_WORKFLOW_ARN", weights_machine.create(weights_template))
    settings.cache_clear()


def a_new_job(model: BaseModel) -> FineTuningJob:
    return factories.a_job(model=model.id, training_file=factories.a_file().id)


def said(job: FineTuningJob) -> list[str]:
    """What its events say of weights, oldest first."""
    events = EventStore(job.organization_id, job.id).list(limit=100).data
    return [event.message for event in reversed(events) if "base weights" in event.message]


def test_a_job_waits_for_its_weights_and_goes_on(workflow: Workflow, model: BaseModel) -> None:
    workflow.times = 2

    job = workflow.run(a_new_job(model))
    later = workflow.run(a_new_job(model))

    assert (job.status, later.status) == ("succeeded", "succeeded")
    assert said(job) == [
        f"Waiting for the base weights of {model.id}: they are being fetched "
        f"(sync {model.id}-12fd25f77366-1)",
        f"The base weights of {model.id} are there",
    ]
    assert said(later) == []
    assert "manifest.json" in objects(model)


def test_another_revision_lies_beside_the_one_that_a_job_trains(
    workflow: Workflow, hub: HuggingFace, model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = factories.a_job(model=model.id, training_file=factories.a_file().id, base_revision=model.revision)
    pinned = replace(model, revision="f" * 40)
    monkeypatch.setattr(base_models, "CATALOGUE", (pinned,))
    workflow.run(began)
    before, hub.revision = objects(model), "f" * 40
    hub.files["config.json"] = b'{"model_type": "newer"}'

    later = workflow.run(a_new_job(pinned))

    assert (later.status, objects(model)) == ("succeeded", before)
    assert objects(pinned)["config.json"] == hub.files["config.json"]


@pytest.mark.slow
def test_jobs_that_wait_for_the_same_weights_have_them_fetched_once(
    workflow: Workflow, hub: HuggingFace, model: BaseModel
) -> None:
    first, second = a_new_job(model), a_new_job(model)
    training.start(first)

    second = workflow.run(second)
    workflow.wait(first)

    assert (JobStore(first.organization_id).get(first.id).status, second.status) == ("succeeded", "succeeded")
    assert hub.starts("model-1.safetensors") == [0]


def test_a_job_fails_with_the_reason_that_its_weights_did_not_come(
    workflow: Workflow, hub: HuggingFace, model: BaseModel
) -> None:
    hub.faults = [Fault("corrupt", "model-1.safetensors")]

    job = workflow.run(a_new_job(model))

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "weights_unavailable"
    assert job.error.message.startswith(
        f"The weights of {model.id} are not in the bucket: the sync {model.id}-12fd25f77366-1 failed. "
        "model-1.safetensors: its content is not the one listed"
    )
    assert open_uploads() == []


def test_a_sync_that_failed_before_a_job_waited_is_tried_again_for_it(
    workflow: Workflow, hub: HuggingFace, model: BaseModel
) -> None:
    hub.faults = [Fault("gated", "tree")]
    workflow.run(a_new_job(model))

    job = workflow.run(a_new_job(model))

    assert weights.status(model).state == "complete"
    assert job.status == "succeeded"
    assert f"(sync {model.id}-12fd25f77366-2)" in said(job)[0]


@pytest.mark.slow
def test_a_job_that_waits_for_its_weights_can_be_cancelled(
    workflow: Workflow, hub: HuggingFace, model: BaseModel
) -> None:
    job = a_new_job(model)

    def cancel(step: str) -> None:
        if step == "fetch_weights":
            jobs.cancel(job.id, job.organization_id)

    workflow.before = cancel

    assert workflow.run(job).status == "cancelled"
    assert workflow.training_jobs.requests == []
