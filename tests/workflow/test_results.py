"""The metrics of a job's steps as a file: for every job that trained, however it ended, and only one."""

import csv
import io
from typing import Any

import pytest
from openai import OpenAI

from outcrop import s3_keys
from outcrop.operations import jobs, training
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.workflow.conftest import Workflow
from tests.workflow.training import Script, completes, fails, goes_on, is_killed

PROJECT = factories.PROJECT


def telling(script: Script, *steps: int) -> Script:
    """A trainer that tells of these steps before it does what the script says."""

    def told(spec: TrainingSpec) -> dict[str, str]:
        outcome = script(spec)
        events = EventStore(spec.project, spec.job_id)
        events.append("info", "Base model: 0.250", data={"step": 0, "full_valid_mean_reward": 0.25})
        for step in steps:
            data: dict[str, Any] = {"step": step, "train_mean_reward": 0.5 + step / 16, "actor_pg_loss": -1.5}
            if step == 2:
                data["full_valid_mean_reward"] = 0.75
            events.append("info", f"Step {step}", type="metrics", data=data)
        return outcome

    return told


def a_new_job() -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id)


def lines(client: OpenAI, file_id: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.files.content(file_id).text)))


@pytest.mark.parametrize("times", [1, 2])
def test_a_succeeded_job_has_the_metrics_of_its_steps_as_a_file(
    workflow: Workflow, client: OpenAI, times: int
) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [telling(completes, 1, 2)]

    job = workflow.run(a_new_job())

    (file_id,) = client.fine_tuning.jobs.retrieve(job.id).result_files
    (file,) = client.files.list(purpose="fine-tune-results").data
    assert (file.id, file.purpose, file.filename) == (file_id, "fine-tune-results", "step_metrics.csv")
    assert file.bytes == len(client.files.content(file_id).content)
    told = lines(client, file_id)
    assert [line["step"] for line in told] == ["0", "1", "2"]
    assert [line["train_reward_mean"] for line in told] == ["", "0.5625", "0.625"]
    assert [line["valid_reward_mean"] for line in told] == ["0.25", "", "0.75"]
    assert list(told[0])[:3] == ["step", "train_reward_mean", "valid_reward_mean"]


def test_what_base_and_tuned_model_said_is_a_file_too(workflow: Workflow, client: OpenAI) -> None:
    job = a_new_job()
    said = b'{"index":0,"base":{"reward":0.0},"tuned":{"reward":1.0}}\n'
    ObjectStore().put(s3_keys.held_out(PROJECT, job.id), said)
    ObjectStore().put(s3_keys.comparison(PROJECT, job.id), b"# Base model and tuned model\n")
    workflow.training_jobs.scripts = [telling(completes, 1)]

    job = workflow.run(job)

    files = [client.files.retrieve(file_id) for file_id in job.result_files]
    assert [file.filename for file in files] == ["step_metrics.csv", "held_out.jsonl", "comparison.md"]
    assert {file.purpose for file in files} == {"fine-tune-results"}
    assert client.files.content(files[1].id).content == said


def test_a_step_that_an_interruption_had_done_twice_is_one_line(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [telling(is_killed, 1, 2), telling(completes, 2, 3)]

    job = workflow.run(a_new_job())

    assert [line["step"] for line in lines(client, job.result_files[0])] == ["0", "1", "2", "3"]


def test_a_step_in_which_nothing_got_a_reward_is_a_line_without_one(
    workflow: Workflow, client: OpenAI
) -> None:
    def tells_of_step_2(spec: TrainingSpec) -> dict[str, str]:
        events = EventStore(spec.project, spec.job_id)
        events.append("info", "Step 2", type="metrics", data={"step": 2, "actor_pg_loss": 0.0})
        return completes(spec)

    workflow.training_jobs.scripts = [telling(tells_of_step_2, 1)]

    job = workflow.run(a_new_job())

    rewards = {line["step"]: line["train_reward_mean"] for line in lines(client, job.result_files[0])}
    assert rewards == {"0": "", "1": "0.5625", "2": ""}


def test_a_failed_job_has_its_metrics_too(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [telling(fails("AlgorithmError: no score, exit code: 1"), 1)]

    job = workflow.run(a_new_job())

    assert (job.status, len(job.result_files)) == ("failed", 1)


def test_a_cancelled_job_has_its_metrics_too(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [telling(goes_on, 1)]
    job = a_new_job()
    training.start(job)
    workflow.wait_for_status(job, "running")

    jobs.cancel(job.id, PROJECT)
    workflow.wait(job)

    (file_id,) = JobStore(PROJECT).get(job.id).result_files
    assert [line["step"] for line in lines(client, file_id)] == ["0", "1"]


def test_a_job_that_took_no_step_has_no_result_file(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [telling(fails("AlgorithmError: no score, exit code: 1"))]

    job = workflow.run(a_new_job())

    assert job.result_files == []
    assert client.files.list(purpose="fine-tune-results").data == []
