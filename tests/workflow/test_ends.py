"""Every path of the workflow to every end of a job."""

import json
from typing import Any

import boto3
import pytest

from outcrop import s3_keys
from outcrop.operations import training, training_stop
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.stores.files import FileStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.judge import parse
from tests import factories
from tests.workflow.conftest import Workflow
from tests.workflow.training import (
    completes,
    fails,
    goes_on,
    is_killed,
    leaves_no_result,
    never_starts,
)

PROJECT = factories.PROJECT


def a_new_job(**fields: Any) -> FineTuningJob:
    return factories.a_job(**{"training_file": factories.a_file().id, **fields})


def messages(job: FineTuningJob) -> list[str]:
    """Oldest first."""
    return [event.message for event in EventStore(PROJECT, job.id).list(limit=100).data][::-1]


@pytest.mark.parametrize("times", [1, 2])
def test_a_good_job_succeeds_even_if_every_step_runs_twice(workflow: Workflow, times: int) -> None:
    workflow.times = times
    job = a_new_job(validation_file=factories.a_file().id, user_provided_suffix="caps")

    job = workflow.run(job)

    assert job.error is None
    assert job.status == "succeeded"
    assert job.trained_tokens == 1234
    assert job.finished_at is not None
    model = ModelStore(PROJECT).get(job.fine_tuned_model or "")
    assert model is not None
    assert model.adapter_key == s3_keys.adapter(PROJECT, job.id, 24)
    assert model.id == f"ft:tiny-caps:acme:caps:{job.id[-8:]}"
    assert messages(job) == [
        f"Validating training file: {job.training_file} and validation file: {job.validation_file}",
        "Files validated, moving job to queued state",
        "Asking for ml.m5.large to train on",
        f"New fine-tuned model created: {model.id}",
        "The job has successfully completed",
    ]


def test_the_trainer_gets_its_spec_and_its_channels(workflow: Workflow) -> None:
    job = workflow.run(a_new_job(validation_file=factories.a_file().id))

    (request,) = workflow.training_jobs.requests
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    }
    config = s3_keys.config(PROJECT, job.id, 1)
    bucket = "s3://outcrop-bucket/"
    assert request["TrainingJobName"] == f"{job.id}-1"
    assert request["CheckpointConfig"]["S3Uri"] == bucket + s3_keys.checkpoints(PROJECT, job.id)
    assert request["Environment"] == {
        "OUTCROP_TABLE": "outcrop-table",
        "OUTCROP_BUCKET": "outcrop-bucket",
        "OUTCROP_SANDBOX_FUNCTION": "",
        "OUTCROP_SAMPLER": "auto",
        "OUTCROP_SAMPLER_GPUS": "0",
    }
    assert channels == {
        "config": bucket + config,
        "model": bucket + "models/tiny-caps/unpinned/",
        "training": bucket + s3_keys.file(PROJECT, job.training_file),
        "validation": bucket + s3_keys.file(PROJECT, job.validation_file or ""),
    }
    spec = TrainingSpec.model_validate_json(ObjectStore().get(f"{config}spec.json"))
    assert spec.fine_tuned_model == job.fine_tuned_model
    assert spec.hyperparameters.prompts_per_step == 4  # the file has four rows


def test_the_trainer_gets_the_deployments_judges(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    judges = {"gpt-5-mini": {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}}
    monkeypatch.setenv("OUTCROP_JUDGES", json.dumps(judges))
    settings.cache_clear()

    job = workflow.run(a_new_job())

    spec = ObjectStore().get(f"{s3_keys.config(PROJECT, job.id, 1)}spec.json")
    assert TrainingSpec.model_validate_json(spec).judges == parse(judges)


@pytest.mark.parametrize("times", [1, 2])
def test_a_bad_training_file_fails_the_job_and_names_its_lines(workflow: Workflow, times: int) -> None:
    workflow.times = times
    rows = b'{"messages": [{"role": "user", "content": "A"}]}\n{"x": 1}\nnot JSON\n'
    file = factories.a_file(content=rows, status="uploaded")

    job = workflow.run(a_new_job(training_file=file.id))

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "invalid_training_file"
    assert job.error.param == "training_file"
    assert job.error.message.startswith("training_file: line 2 has no 'messages'; line 3 is not JSON")
    assert FileStore(PROJECT).get(file.id).status == "error"
    assert messages(job)[-1] == f"The job failed: {job.error.message}"
    assert workflow.training_jobs.requests == []


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_late_row_without_what_the_grader_reads_fails_the_job_and_is_named(
    workflow: Workflow, param: str
) -> None:
    late = b'{"messages": [{"role": "user", "content": "A"}], "answer": "A"}\n'
    file = factories.a_file(content=factories.ROWS * 50 + late * 2)

    job = workflow.run(a_new_job(**{param: file.id}))

    lacks = "has no 'item.reference_answer', which grader.reference reads; it has messages, answer"
    assert job.error is not None
    assert (job.error.code, job.error.param) == (f"invalid_{param}", param)
    assert job.error.message == f"{param}: line 201 {lacks}; line 202 {lacks}."
    assert workflow.training_jobs.requests == []


def test_a_bad_validation_file_fails_the_job_too(workflow: Workflow) -> None:
    file = factories.a_file(content=b"")

    job = workflow.run(a_new_job(validation_file=file.id))

    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_validation_file", "validation_file")
    assert job.error.message == "validation_file: the file is empty."


def test_a_file_deleted_after_the_job_was_created_fails_it(workflow: Workflow) -> None:
    job = a_new_job()
    FileStore(PROJECT).delete(job.training_file)

    job = workflow.run(job)

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.message == f"training_file: '{job.training_file}' does not exist any more."


@pytest.mark.parametrize("times", [1, 2])
def test_a_failing_trainer_fails_the_job_with_its_own_words(workflow: Workflow, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [fails("AlgorithmError: The grader answered no score., exit code: 1")]

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "training_failed"
    assert job.error.message == "The grader answered no score."
    assert job.fine_tuned_model is None
    assert len(workflow.training_jobs.requests) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_killed_trainer_is_resumed(workflow: Workflow, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [is_killed, completes]

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert job.attempt == 2
    names = [request["TrainingJobName"] for request in workflow.training_jobs.requests]
    assert names == [f"{job.id}-1", f"{job.id}-2"]
    assert [message for message in messages(job) if "try 2 of 3" in message]


def test_a_trainer_killed_every_time_fails_the_job(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [is_killed] * 5

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "infrastructure_failure"
    assert "exit code 137" in job.error.message
    assert len(workflow.training_jobs.requests) == training_stop.MAX_ATTEMPTS


def test_a_machine_that_fails_before_training_fails_the_job(workflow: Workflow) -> None:
    workflow.training_jobs.scripts = [never_starts]

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "infrastructure_failure"


@pytest.mark.parametrize("times", [1, 2])
def test_training_without_a_result_fails_the_job(workflow: Workflow, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [leaves_no_result]

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "training_result_missing"
    assert ModelStore(PROJECT).list() == []


def test_a_training_job_whose_start_got_lost_is_waited_for(workflow: Workflow) -> None:
    job = a_new_job()
    assert not training.validate_files(PROJECT, job.id, 1).done
    request = training.prepare(PROJECT, job.id, 1).training_job
    assert request is not None
    workflow.training_jobs.scripts = [goes_on]
    role = "arn:aws:iam::123456789012:role/training"
    boto3.client("sagemaker").create_training_job(RoleArn=role, **request)  # the workflow never heard of it
    steps: list[str] = []

    def end_the_training_at_the_second_look(step: str) -> None:
        steps.append(step)
        if steps.count("classify_stop") == 2:
            workflow.training_jobs.end(f"{job.id}-1", completes)

    workflow.before = end_the_training_at_the_second_look
    ended = workflow.run(job)

    assert ended.status == "succeeded"
    assert steps[-3:] == ["classify_stop", "classify_stop", "register_model"]
    assert len(workflow.training_jobs.requests) == 1


def test_a_step_that_keeps_failing_fails_the_job_readably(workflow: Workflow) -> None:
    def break_down(step: str) -> None:
        if step == "register_model":
            raise RuntimeError("no such table")

    workflow.before = break_down
    job = a_new_job()

    ended = workflow.run(job)

    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "internal_error"
    assert f"execution {job.id}-1" in ended.error.message
    assert workflow.wait(job) == "FAILED"
    assert ModelStore(PROJECT).list() == []


def test_a_deployment_without_a_training_image_says_so(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "")

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "training_image_missing"
