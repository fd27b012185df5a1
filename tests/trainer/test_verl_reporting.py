"""What a run on several machines leaves in the account is what a run on one leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from outcrop import s3_keys
from outcrop.graders.reward import Reward
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult, TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.grader import Grader
from tests import factories
from tests.account import Account
from tests.trainer.conftest import HYPERPARAMETERS
from training_image.trainer.errors import GraderFailing, TrainingError
from training_image.trainer.history import History
from training_image.trainer.run_report import RunReport
from training_image.trainer.step_events import StepEvents
from training_image.verl import checkpoints
from training_image.verl.adapter import Adapter
from training_image.verl.reporting import Reporting
from training_image.verl.reward import Scored

ROWS: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": word}]} for word in "abcd"]
MEASURED = {
    "actor/entropy": np.float64(0.5),
    "actor/pg_loss": 0.01,
    "actor/grad_norm": 0.2,
    "response_length/mean": 3.0,
    "timing_s/step": 2.0,
    "timing_s/gen": 1.0,
    "timing_s/update_actor": 0.5,
}
GROUPS = ["g", "g", "h", "h"]


def scored(index: int, session: int, reward: float | None) -> Scored:
    error = None if reward is not None else "grader_timeout"
    return Scored(index, session, f"said {reward}", False, Reward(reward, error, "late", {}, 0.1))


STEP = [scored(0, 0, 1.0), scored(0, 1, 0.0), scored(1, 0, None), scored(1, 1, 1.0)]


@pytest.fixture
def job(aws: Account) -> FineTuningJob:
    made = factories.a_job(status="running")
    JobStore(made.organization_id).create(made)
    return made


def reporting(job: FineTuningJob, *, stop: bool = False, **changes: Any) -> Reporting:
    spec = TrainingSpec(
        project=job.organization_id,
        job_id=job.id,
        attempt=job.attempt,
        base_model="smollm2-135m-instruct",
        fine_tuned_model="ft:smollm2",
        grader=TypeAdapter(Grader).validate_python(factories.STRING_CHECK),
        hyperparameters=HYPERPARAMETERS.model_copy(update=changes),
        seed=7,
    )
    report = RunReport(
        spec,
        History(),
        StepEvents(spec.project, spec.job_id),
        ROWS[:2],
        base=Path("input/data/model"),
        is_told_to_stop=lambda: stop,
    )
    return Reporting(spec, report, ROWS, ROWS[:2])


def adapter() -> Adapter:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    weights = {name.format("A"): torch.ones(8, 4), name.format("B"): torch.zeros(4, 8)}
    return Adapter(weights, HYPERPARAMETERS)


def lines(job: FineTuningJob, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ObjectStore().lines(key)]


def said(job: FineTuningJob) -> list[str]:
    return [one.message for one in EventStore(job.organization_id, job.id).every()]


def test_a_step_is_an_event_with_metrics_and_a_file_of_rollouts(job: FineTuningJob) -> None:
    run = reporting(job)

    run.check(1, STEP)
    assert run.step(1, STEP, GROUPS, [0.7, -0.7, 0.0, 0.0], MEASURED)

    (told,) = [one for one in EventStore(job.organization_id, job.id).every() if one.type == "metrics"]
    data = told.data or {}
    assert told.message == "Step 1/4: training metrics"
    assert (data["train_mean_reward"], data["actor_entropy"]) == (pytest.approx(2 / 3), 0.5)
    assert data["errors"] == {"grader_timeout": 1}
    assert data["timing"]["step"] == {
        "sampling": 1.0,
        "grading": 0.0,
        "training": 0.5,
        "eval": 0.0,
        "full_iteration": 2.0,
    }
    rollouts = lines(job, s3_keys.rollouts(job.organization_id, job.id, 1))
    assert [one["advantage"] for one in rollouts] == [0.7, -0.7, None, None]
    assert [one["reward"] for one in rollouts] == [1.0, 0.0, None, 1.0]
    assert rollouts[2]["error"] == "grader_timeout"


def test_a_step_with_too_few_rewards_fails_the_run_before_it_learns(job: FineTuningJob) -> None:
    run = reporting(job)

    with pytest.raises(GraderFailing, match="75% of the completions of a step"):
        run.check(1, [scored(0, 0, None), scored(0, 1, None), scored(1, 0, None), scored(1, 1, 1.0)])

    assert len(lines(job, s3_keys.rollouts(job.organization_id, job.id, 1))) == 4


def test_a_whole_run_ends_with_the_best_checkpoint_as_its_result(job: FineTuningJob, tmp_path: Path) -> None:
    run = reporting(job, max_steps=2)
    run.evaluate(0, [scored(1, 0, 0.0), scored(0, 0, 0.0), scored(0, 1, 1.0), scored(1, 1, 0.0)], 1.0)
    run.step(1, STEP, GROUPS, [0.0] * 4, MEASURED)
    run.evaluate(2, [scored(0, 0, 1.0), scored(1, 0, 1.0), scored(0, 1, 1.0), scored(1, 1, 1.0)], 1.0)
    assert not run.step(2, STEP, GROUPS, [0.0] * 4, MEASURED)
    run.publish(2, adapter())
    run.report.finish(tmp_path / "model")

    assert not run.was_stopped
    key = s3_keys.result(job.organization_id, job.id, job.attempt)
    result = TrainingResult.model_validate_json(b"".join(ObjectStore().lines(key)))
    assert (result.step, result.metrics["valid_reward_base"], result.metrics["valid_reward_tuned"]) == (
        2,
        0,
        1,
    )
    assert result.metrics["valid_sampled_reward_base"] == 0.5
    config = json.loads((tmp_path / "model/adapter_config.json").read_bytes())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (8, 16, ["q_proj"])
    assert config["base_model_name_or_path"] == "smollm2-135m-instruct"
    (checkpoint,) = CheckpointStore(job.organization_id, job.id).list().data
    assert checkpoint.step_number == 2
    assert checkpoint.metrics["train_reward_mean"] == pytest.approx(2 / 3)
    assert any(one.startswith("Base model: validation mean reward 0.000") for one in said(job))
    assert any(one.startswith("On the validation file:") for one in said(job))
    finished = (
        "Training finished: the model is that of step 2, valid reward base 0.000, valid reward tuned 1.000."
    )
    assert finished in said(job)


def test_a_step_without_any_reward_is_warned_of_and_teaches_nothing(job: FineTuningJob) -> None:
    run = reporting(job, grader_failure_limit=1.0)
    run.check(1, STEP)
    run.step(1, STEP, GROUPS, [0.7, -0.7, 0.0, 0.0], MEASURED)
    failed = [scored(row, session, None) for row in (0, 1) for session in (0, 1)]

    run.check(2, failed)
    run.step(2, failed, GROUPS, [0.0] * 4, MEASURED)
    run.publish(2, adapter())

    assert any(one.startswith("No completion of step 2 got a reward (grader_timeout 4)") for one in said(job))
    last = [one for one in EventStore(job.organization_id, job.id).every() if one.type == "metrics"][-1]
    assert "train_reward_mean" not in (last.data or {})["scores"]
    (checkpoint,) = CheckpointStore(job.organization_id, job.id).list().data
    assert "train_reward_mean" not in checkpoint.metrics


def test_a_run_without_a_checkpoint_is_no_success(job: FineTuningJob, tmp_path: Path) -> None:
    run = reporting(job)
    run.step(1, STEP, GROUPS, [0.0] * 4, MEASURED)

    with pytest.raises(TrainingError, match="No checkpoint could be written"):
        run.report.finish(tmp_path / "model")


def test_a_run_that_is_told_to_stop_ends_after_its_step(job: FineTuningJob) -> None:
    run = reporting(job, stop=True)

    assert not run.step(1, STEP, GROUPS, [0.0] * 4, MEASURED)
    assert run.was_stopped


def test_a_cancelled_job_ends_after_its_step(job: FineTuningJob) -> None:
    JobStore(job.organization_id).transition(job.id, "cancelled")
    run = reporting(job)

    assert not run.step(1, STEP, GROUPS, [0.0] * 4, MEASURED)
    assert run.was_stopped


def test_evaluations_that_gain_nothing_end_a_run_early(job: FineTuningJob) -> None:
    run = reporting(job, early_stopping_patience=1)
    for step in (0, 1):
        run.evaluate(step, [scored(0, 0, 0.5), scored(1, 0, 0.5)], 1.0)

    assert not run.step(1, STEP, GROUPS, [0.0] * 4, MEASURED)
    assert not run.was_stopped
    assert any("ends early, at step 1 of 4" in one for one in said(job))


def test_the_newest_whole_checkpoint_is_gone_on_from(job: FineTuningJob, tmp_path: Path) -> None:
    for step in (2, 4, 10):
        folder = checkpoints.folder(tmp_path, step)
        reporting(job).write_state(folder)
        (folder / "actor").mkdir()
        (folder / "data.pt").touch()
        for part in ("model", "optim", "extra_state"):
            for rank in range(2):
                (folder / f"actor/{part}_world_size_2_rank_{rank}.pt").touch()
    (checkpoints.folder(tmp_path, 10) / "actor/optim_world_size_2_rank_1.pt").unlink()
    passed_over: list[str] = []

    def note(folder: Path, problem: str) -> None:
        passed_over.append(f"{folder.name}: {problem}")

    assert checkpoints.newest(tmp_path, 2, note) == checkpoints.folder(tmp_path, 4)
    assert passed_over == ["global_step_10: it has no actor/optim_world_size_2_rank_1.pt"]
    assert checkpoints.newest(tmp_path, 4, note) is None
