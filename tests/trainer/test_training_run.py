"""A whole run of the trainer's process on the tiny model, and what it leaves behind."""

import re
import signal
import time
from pathlib import Path
from statistics import fmean

import orjson
import pytest

from outcrop import s3_keys, training_metrics
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests.trainer.conftest import STRING_CHECK, MakeRun, Run
from tests.trainer.outcome import differences, outcome

pytestmark = pytest.mark.slow


def _result(run: Run) -> TrainingResult:
    key = s3_keys.result(run.spec.project, run.spec.job_id, run.spec.attempt)
    return TrainingResult.model_validate_json(ObjectStore().get(key))


def _wait_for_step(run: Run, step: int) -> None:
    deadline = time.monotonic() + 300
    while not any(metrics["step"] >= step for metrics in run.metrics()):
        assert time.monotonic() < deadline, run.messages()
        time.sleep(0.05)


def test_the_reward_on_held_out_questions_rises(a_run: MakeRun) -> None:
    run = a_run(max_steps=25, prompts_per_step=8, num_generations=8, eval_interval=5, save_steps=5, lora_r=16)

    status = run.train()

    assert status == 0
    measured = _result(run).metrics
    assert measured["valid_reward_tuned"] >= 0.65
    assert measured["valid_reward_tuned"] >= measured["valid_reward_base"] + 0.15
    assert measured["valid_sampled_reward_tuned"] >= measured["valid_sampled_reward_base"] + 0.15
    compared = run.events()[-1]
    assert compared.message.startswith("On the validation file: base model 0.")
    found = (compared.data or {})["comparison"]
    assert found["base"]["mean"] == measured["valid_reward_base"]
    assert found["tuned"]["low"] <= found["tuned"]["mean"] == measured["valid_reward_tuned"]
    key = s3_keys.held_out(run.spec.project, run.spec.job_id)
    said = [orjson.loads(line) for line in ObjectStore().lines(key)]
    assert fmean(line["tuned"]["reward"] for line in said) == measured["valid_reward_tuned"]
    assert sum(line["tuned"]["reward"] > line["base"]["reward"] for line in said) == found["better"] > 0
    page = ObjectStore().get(s3_keys.comparison(run.spec.project, run.spec.job_id)).decode()
    assert f"{found['better']} rows got better" in page


def test_a_model_that_is_wanted_in_one_piece_lies_in_the_bucket_as_one(a_run: MakeRun) -> None:
    run = a_run(max_steps=2, eval_interval=2, merge=True)

    run.train()

    merged = s3_keys.merged(run.spec.project, run.spec.job_id)
    assert _result(run).merged_key == merged
    names = {key.removeprefix(merged) for key in ObjectStore().list(merged)}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert b"chat_template" in ObjectStore().get(f"{merged}tokenizer_config.json")


def test_cloudwatch_is_told_of_every_step(a_run: MakeRun, capfd: pytest.CaptureFixture[str]) -> None:
    run = a_run(max_steps=2, eval_interval=2)

    run.train()

    out = capfd.readouterr().out
    lines = [orjson.loads(line) for line in out.splitlines() if line.startswith('{"message": "step"')]
    assert [(line["job_id"], line["step"]) for line in lines] == [(run.spec.job_id, 1), (run.spec.job_id, 2)]
    of_gpus = {"gpu_memory_gb", "gpu_utilization"}
    assert lines[1].keys() - {"message", "job_id", "step"} == {*training_metrics.METRICS} - of_gpus
    assert lines[0].keys() == lines[1].keys() - {"valid_reward"}
    for one in training_metrics.definitions():
        assert re.search(one["Regex"], out) or one["Name"].startswith("outcrop_gpu_"), one["Name"]


def test_a_run_tells_its_steps_and_leaves_adapters_checkpoints_and_rollouts(a_run: MakeRun) -> None:
    run = a_run()

    status = run.train()

    assert status == 0
    project, job_id = run.spec.project, run.spec.job_id
    assert [metrics["step"] for metrics in run.metrics()] == [1, 2, 3, 4]
    assert run.metrics()[1]["full_valid_mean_reward"] == run.metrics()[1]["valid_reward_mean"]
    assert "full_valid_mean_reward" not in run.metrics()[0]
    peaks = [metrics["peak_memory_gb"] for metrics in run.metrics()]
    assert 0.1 < peaks[0] <= peaks[-1] < 100
    assert any(message.startswith("Peak memory was ") for message in run.messages())
    result = _result(run)
    assert ObjectStore().exists(f"{result.adapter_key}adapter_model.safetensors")
    assert {file.name for file in (run.root / "model").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    listed = CheckpointStore(project, job_id).list().data
    assert [checkpoint.step_number for checkpoint in listed] == [4, 2]
    served = ModelStore(project).get(listed[0].fine_tuned_model_checkpoint)
    assert served is not None and served.adapter_key == s3_keys.adapter(project, job_id, 4)
    rollouts = [orjson.loads(line) for line in ObjectStore().lines(s3_keys.rollouts(project, job_id, 1))]
    assert len(rollouts) == 16
    assert rollouts[0].keys() >= {"step", "prompt", "completion", "reward", "error", "advantage", "index"}
    assert run.job.trained_tokens == result.trained_tokens > 0


def test_every_field_of_a_metrics_event_is_in_the_documentation(a_run: MakeRun) -> None:
    run = a_run(max_steps=2, eval_interval=2)
    table = Path("docs/training.md").read_text().split("| in a metrics event |")[1].split("\n\n")[0]
    documented = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    run.train()

    told = {name for metrics in run.metrics() for name in metrics}
    assert told >= {"full_valid_mean_reward", "valid_sampled_reward_mean", "peak_memory_gb"}
    assert told - documented == set()


def test_a_run_killed_in_the_middle_resumes_to_the_very_same_end(a_run: MakeRun, tmp_path) -> None:
    straight = a_run(root=tmp_path / "straight", max_steps=6)
    killed = a_run(root=tmp_path / "killed", max_steps=6)

    straight.train()
    process = killed.start()
    _wait_for_step(killed, 3)
    process.kill()
    process.wait()
    status = killed.train()

    assert status == 0
    assert any(one.startswith("Training resumed from the checkpoint of step ") for one in killed.messages())
    assert differences(outcome(straight), outcome(killed)) == {}


def test_sigterm_saves_and_leaves_after_the_step(a_run: MakeRun) -> None:
    run = a_run(max_steps=200, eval_interval=200, save_steps=200)

    process = run.start()
    _wait_for_step(run, 2)
    process.send_signal(signal.SIGTERM)
    status = process.wait(timeout=60)

    assert status == 0
    last = run.metrics()[-1]["step"]
    assert last < 200
    assert (run.root / f"checkpoints/step-{last:06d}/manifest.json").exists()
    listed = CheckpointStore(run.spec.project, run.spec.job_id).list().data
    assert [checkpoint.step_number for checkpoint in listed] == [last]


def test_a_cancelled_job_publishes_its_last_checkpoint_and_leaves(a_run: MakeRun) -> None:
    run = a_run(max_steps=200, eval_interval=200, save_steps=200)

    process = run.start()
    _wait_for_step(run, 2)
    JobStore(run.spec.project).transition(run.spec.job_id, "cancelled")
    status = process.wait(timeout=60)

    assert status == 0
    assert run.job.status == "cancelled"
    assert len(CheckpointStore(run.spec.project, run.spec.job_id).list().data) == 1


def test_a_run_that_gains_nothing_ends_early_and_once(a_run: MakeRun) -> None:
    run = a_run(max_steps=200, eval_interval=1, save_steps=1, learning_rate=1e-30, early_stopping_patience=2)

    began = time.time()
    ended = run.train()
    result = _result(run)
    ObjectStore().delete(s3_keys.result(run.spec.project, run.spec.job_id, 1))  # as if killed just before it
    resumed = run.train()

    assert (ended, resumed) == (0, 0)
    [told] = [message for message in run.messages() if "early" in message]
    assert told == (
        "Training ends early, at step 2 of 200: the last 2 evaluations gained nothing beyond noise on the "
        "validation file (early_stopping_patience is 2)."
    )
    assert [metrics["step"] for metrics in run.metrics()] == [1, 2]
    assert result == _result(run) and result.step == 2
    assert began <= (run.job.estimated_finish or 0) <= time.time()


def test_a_paused_run_saves_leaves_and_goes_on_to_the_very_same_end(a_run: MakeRun, tmp_path) -> None:
    straight = a_run(root=tmp_path / "straight", max_steps=6, eval_interval=6, save_steps=6)
    paused = a_run(root=tmp_path / "paused", max_steps=6, eval_interval=6, save_steps=6)
    jobs = JobStore(paused.spec.project)

    straight.train()
    process = paused.start()
    _wait_for_step(paused, 2)
    jobs.request_pause(paused.spec.job_id)  # and the signal got lost: the trainer finds out by itself
    status = process.wait(timeout=60)
    at = paused.metrics()[-1]["step"]
    jobs.transition(paused.spec.job_id, "paused")
    jobs.transition(paused.spec.job_id, "queued", attempt=2)
    trained_before = paused.job.trained_tokens
    resumed = paused.as_attempt(2)
    ended = resumed.train()

    assert (status, ended) == (0, 0)
    assert 2 <= at < 6
    assert f"Training resumed from the checkpoint of step {at}." in resumed.messages()
    assert [metrics["step"] for metrics in resumed.metrics()] == [1, 2, 3, 4, 5, 6]
    assert 0 < (trained_before or 0) < (resumed.job.trained_tokens or 0)
    assert resumed.job.trained_tokens == straight.job.trained_tokens
    assert _result(resumed).metrics == _result(straight).metrics
    one, other = outcome(straight), outcome(resumed)
    files = [name for name in one if not name.startswith(("event ", "attempts/", "models"))]
    assert {"checkpoint 6", "model/adapter_model.safetensors", "rollouts/step-000006.jsonl, line 0"} <= {
        *files
    }
    assert {name: other.get(name) for name in files} == {name: one[name] for name in files}


@pytest.mark.parametrize("status", ["paused", "pausing", "attempted anew"])
def test_a_job_that_is_paused_or_attempted_anew_is_not_trained(a_run: MakeRun, status: str) -> None:
    run = a_run()
    jobs = JobStore(run.spec.project)
    if status == "pausing":
        jobs.transition(run.spec.job_id, "running")
        jobs.request_pause(run.spec.job_id)
    else:
        jobs.transition(run.spec.job_id, "paused")
    if status == "attempted anew":
        jobs.transition(run.spec.job_id, "queued", attempt=2)

    assert run.train() == 0
    assert run.events() == []


def test_a_response_format_holds_every_completion_to_its_form(a_run: MakeRun) -> None:
    run = a_run(
        grader={**STRING_CHECK, "input": "{{sample.output_json}}", "reference": "{}", "operation": "ne"},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}},
        max_steps=2,
    )

    status = run.train()

    assert status == 0
    project, job_id = run.spec.project, run.spec.job_id
    keys = [s3_keys.rollouts(project, job_id, step) for step in (1, 2)]
    evaluation = keys[1].replace("step-", "eval-step-")
    for key in (*keys, evaluation):
        lines = [orjson.loads(line) for line in ObjectStore().lines(key)]
        assert lines and all(isinstance(orjson.loads(line["completion"]), int) for line in lines), lines
        assert not any(line["error"] for line in lines)


def test_a_job_that_is_over_is_not_trained(a_run: MakeRun) -> None:
    run = a_run()
    JobStore(run.spec.project).transition(run.spec.job_id, "cancelled")

    status = run.train()

    assert status == 0
    assert run.events() == []


def test_a_grader_that_always_fails_ends_the_run_with_its_own_words(a_run: MakeRun) -> None:
    run = a_run(
        grader={
            "type": "string_check",
            "name": "exact",
            "input": "{{sample.output_text}}",
            "reference": "{{item.absent}}",
            "operation": "eq",
        }
    )

    status = run.train()

    assert status == 1
    assert "absent" in run.failure
    assert "Traceback" not in run.failure
