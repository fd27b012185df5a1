"""Whole runs of the trainer on bad days: graders that fail on some completions or most, and a full disk."""

import os
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from outcrop import s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.trainer.conftest import MakeRun, Run
from training_image.trainer import checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture
def lambdas(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    """Lambda as the trainer's process reaches it."""
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    yield server
    server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)])
    if mounted.returncode:
        pytest.skip("A file system can be mounted by root alone.")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def is_unlucky(text: str, *, share: float) -> bool:
    """True for this share of all texts, always the same ones."""
    return zlib.crc32(text.encode()) % 100 < 100 * share


def rewards_some(event: Any, *, failing: float) -> float:
    if is_unlucky(event["response"], share=failing):
        raise RuntimeError("the judge is out of quota")
    return float(event["response"].strip().startswith(event["reference_answer"]))


def rollouts(run: Run, step: int) -> list[dict[str, Any]]:
    key = s3_keys.rollouts(run.spec.project, run.spec.job_id, step)
    return [orjson.loads(line) for line in ObjectStore().lines(key)]


def result(run: Run) -> TrainingResult:
    key = s3_keys.result(run.spec.project, run.spec.job_id, run.spec.attempt)
    return TrainingResult.model_validate_json(ObjectStore().get(key))


def fill(disk: Path, *, leaving: int = 0) -> None:
    """Until `leaving` bytes are left."""
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - leaving))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_completions_a_grader_fails_on_are_left_out_counted_and_warned_of(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    arn = lambdas.function(lambda event, context: rewards_some(event, failing=0.2))
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn}, prompts_per_step=8)

    status = run.train()

    assert status == 0
    assert result(run).trained_tokens > 0
    by_step = {step: rollouts(run, step) for step in (1, 2, 3, 4)}
    failed = [one for step in by_step.values() for one in step if one["error"]]
    assert failed
    assert {(one["error"], one["reward"], one["advantage"]) for one in failed} == {
        ("grader_exception", None, 0.0)
    }
    assert all("the judge is out of quota" in one["error_message"] for one in failed)
    for metrics in run.metrics():
        seen = Counter(one["error"] for one in by_step[metrics["step"]] if one["error"])
        assert metrics["errors"] == seen
    assert [one for one in run.messages() if "more than 10% of the completions; they are left out" in one]


def test_a_grader_that_fails_on_most_completions_of_a_step_ends_the_run_with_its_own_words(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    arn = lambdas.function(lambda event, context: rewards_some(event, failing=0.8))
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn}, prompts_per_step=8)

    status = run.train()

    assert status == 1
    assert "% of the completions of a step. grader_exception: RuntimeError: the judge is out" in run.failure
    assert "Traceback" not in run.failure


def test_a_grader_that_sleeps_ends_the_run_with_what_lambda_says(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    arn = lambdas.function(lambda event, context: time.sleep(5), timeout_seconds=0.2)
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn})

    status = run.train()

    assert status == 1
    assert "grader_timeout: The function ran into its own time-out" in run.failure


@pytest.mark.parametrize("room_for", ["nothing", "the adapter"])
def test_a_disk_that_fills_up_costs_checkpoints_and_not_the_run(
    a_run: MakeRun, small_disk: Path, room_for: str
) -> None:
    run = a_run(max_steps=12, eval_interval=12, save_steps=3)
    state = run.root / "checkpoints"
    state.symlink_to(small_disk)

    process = run.start()
    wait_for(state / "step-000003")
    adapter = (state / "step-000003/adapter_model.safetensors").stat().st_size
    fill(small_disk, leaving=0 if room_for == "nothing" else adapter + 50_000)
    status = process.wait(timeout=300)

    assert status == 0
    warnings = [event.message for event in run.events() if event.level == "warn"]
    assert any(one.startswith("No resume state could be written at step 12: ") for one in warnings)
    assert all(one.endswith("Training goes on.") for one in warnings if "resume state" in one)
    kept = checkpoints.newest(state, lambda folder, problem: pytest.fail(f"{folder}: {problem}"))
    assert kept is not None
    listed = CheckpointStore(run.spec.project, run.spec.job_id).list().data
    assert [checkpoint.step_number for checkpoint in listed] == [12, 9, 6, 3]


def test_with_no_room_anywhere_the_model_is_that_of_the_last_step_that_could_be_saved(
    a_run: MakeRun, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(small_disk))
    run = a_run(max_steps=12, eval_interval=12, save_steps=3)
    state = run.root / "checkpoints"
    state.symlink_to(small_disk)

    process = run.start()
    wait_for(state / "step-000003")
    fill(small_disk)
    status = process.wait(timeout=300)

    assert status == 0
    listed = [one.step_number for one in CheckpointStore(run.spec.project, run.spec.job_id).list().data]
    assert 12 not in listed
    assert result(run).step in listed
    assert any(one.startswith("No checkpoint could be written at step 12: ") for one in run.messages())
