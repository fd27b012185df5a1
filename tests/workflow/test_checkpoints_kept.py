"""Of an ended job the three best checkpoints stay, and the last; what is listed can be used, and nothing else
lies around."""

from typing import Any

import openai
import pytest
from openai import OpenAI

from outcrop import s3_keys
from outcrop.ids import now
from outcrop.operations import checkpoints, training_end
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.stores.permissions import PermissionStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.factories import PROJECT, a_checkpoint, a_tuned_model
from tests.workflow.conftest import Workflow
from tests.workflow.training import completes, fails

REWARDS = {4: 0.5, 8: 0.3, 12: 0.9, 16: 0.7, 20: 0.9, 24: 0.1}


def saving(end: Any, rewards: dict[int, float | None] = REWARDS) -> Any:  # pyright: ignore[reportArgumentType]
    """A script whose trainer publishes checkpoints."""

    def script(spec: TrainingSpec) -> dict[str, Any]:
        job = JobStore(spec.project).get(spec.job_id)
        for step, reward in rewards.items():
            a_published_checkpoint(job, step, reward)
        return end(spec)

    return script


def a_published_checkpoint(job: FineTuningJob, step: int, reward: float | None) -> None:
    measured = {} if reward is None else {"valid_reward_mean": reward}
    listed = a_checkpoint(job, step=step, **measured)
    key = s3_keys.adapter(PROJECT, job.id, step)
    ObjectStore().put(f"{key}adapter_model.safetensors", b"weights")
    ObjectStore().put(s3_keys.adapter_archive(key), b"archive")
    a_tuned_model(
        id=listed.fine_tuned_model_checkpoint,
        job_id=job.id,
        adapter_key=key,
        kind="checkpoint",
        created=now(),
    )


def a_new_job() -> FineTuningJob:
    return factories.a_job(training_file=factories.a_file().id)


def listed(client: OpenAI, job_id: str) -> list[int]:
    return [one.step_number for one in client.fine_tuning.jobs.checkpoints.list(job_id)]


def stored(job_id: str) -> set[int]:
    """The steps whose adapters lie in the bucket, in whatever form."""
    folder = f"{s3_keys.job(PROJECT, job_id)}adapters/"
    return {int(key.removeprefix(f"{folder}step-")[:6]) for key in ObjectStore().list(folder)}


def test_whole_weights_are_taken_away_as_adapters_are(workflow: Workflow, client: OpenAI) -> None:
    def whole(spec: TrainingSpec) -> dict[str, Any]:
        for step in REWARDS:
            key = s3_keys.weights(PROJECT, spec.job_id, step)
            ObjectStore().put(f"{key}model.safetensors", b"weights")
        return completes(spec)

    workflow.training_jobs.scripts = [saving(whole)]

    job = workflow.run(a_new_job())

    folder = f"{s3_keys.job(PROJECT, job.id)}weights/"
    left = {int(key.removeprefix(f"{folder}step-")[:6]) for key in ObjectStore().list(folder)}
    assert left == {12, 16, 20, 24} == {*listed(client, job.id)}


@pytest.mark.parametrize("times", [1, 2])
def test_the_best_three_and_the_last_stay(workflow: Workflow, client: OpenAI, times: int) -> None:
    workflow.times = times
    workflow.training_jobs.scripts = [saving(completes)]

    job = workflow.run(a_new_job())

    assert job.status == "succeeded"
    assert listed(client, job.id) == [24, 20, 16, 12]
    assert stored(job.id) == {12, 16, 20, 24}
    for one in client.fine_tuning.jobs.checkpoints.list(job.id):
        assert client.models.retrieve(one.fine_tuned_model_checkpoint).id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(f"{job.fine_tuned_model}:ckpt-step-4")


def test_without_evaluations_the_last_three_stay(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [saving(completes, dict.fromkeys(REWARDS))]

    job = workflow.run(a_new_job())

    assert listed(client, job.id) == [24, 20, 16]


def test_the_model_of_a_job_is_never_taken_away(workflow: Workflow) -> None:
    """The trainer ranks as the workflow does; were it ever otherwise, its choice counts."""
    workflow.training_jobs.scripts = [saving(completes, {24: 0.0, 28: 0.5, 32: 0.6, 36: 0.7, 40: 0.8})]

    job = workflow.run(a_new_job())

    assert stored(job.id) == {24, 32, 36, 40}


def test_a_failed_jobs_best_checkpoints_stay_too(workflow: Workflow, client: OpenAI) -> None:
    workflow.training_jobs.scripts = [saving(fails("AlgorithmError: no score, exit code: 1"))]

    job = workflow.run(a_new_job())

    assert job.status == "failed"
    assert listed(client, job.id) == [24, 20, 16, 12]


def test_a_checkpoint_that_another_project_may_use_stays(workflow: Workflow, client: OpenAI) -> None:
    def shares_one(spec: TrainingSpec) -> dict[str, Any]:
        shared = a_tuned_model(
            id=f"{spec.fine_tuned_model}:ckpt-step-4",
            job_id=spec.job_id,
            adapter_key=s3_keys.adapter(PROJECT, spec.job_id, 4),
            kind="checkpoint",
        )
        PermissionStore(PROJECT, shared.id).create(shared, "umbrella")
        return completes(spec)

    workflow.training_jobs.scripts = [saving(shares_one)]

    job = workflow.run(a_new_job())

    assert listed(client, job.id) == [24, 20, 16, 12, 4]


def test_a_paused_job_keeps_all(client: OpenAI) -> None:
    job = factories.a_job(status="paused")
    for step, reward in REWARDS.items():
        a_published_checkpoint(job, step, reward)

    training_end.register_model(PROJECT, job.id, 1)

    assert listed(client, job.id) == sorted(REWARDS, reverse=True)


@pytest.mark.parametrize("left", ["the model", "objects", "the row"])
def test_what_a_crash_leaves_of_one_goes_at_the_next_try(
    client: OpenAI, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = factories.a_job(status="failed")
    for step, reward in REWARDS.items():
        a_published_checkpoint(job, step, reward)
    dies = {
        "the model": "outcrop.operations.checkpoints.ModelStore.delete",
        "objects": "outcrop.operations.checkpoints.ObjectStore.delete_all",
        "the row": "outcrop.operations.checkpoints.CheckpointStore.delete",
    }[left]

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(dies, lambda *_: (_ for _ in ()).throw(InterruptedError))
        checkpoints.keep_best(job)
    assert listed(client, job.id) == sorted(REWARDS, reverse=True)  # nothing is lost sight of
    checkpoints.keep_best(job)

    assert listed(client, job.id) == [24, 20, 16, 12]
    assert stored(job.id) == {12, 16, 20, 24}
