"""Whole runs of the trainer on bad days: graders that fail on some completions or most, and a full disk."""

import os
import re
import subprocess
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson
import pytest
from safetensors.torch import load_file

from outcrop import s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests import tiny_model
from tests.graders.lambda_endpoint import LambdaEndpoint, TimedOut
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


CAUSES = ("grader_exception", "grader_timeout", "invalid_reward", "missing_reward")


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


def wait_for_state(folder: Path, step: int) -> int:
    """Until the resume state of that step, or of a later one, is there; the bytes of the adapter in it."""
    deadline = time.monotonic() + 300
    while True:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        for adapter in folder.glob("step-*/adapter_model.safetensors"):
            with suppress(FileNotFoundError):  # a newer one has taken its place
                if int(adapter.parent.name[5:]) >= step:
                    return adapter.stat().st_size


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
        ("grader_exception", None, None)
    }
    assert all("the judge is out of quota" in one["error_message"] for one in failed)
    for metrics in run.metrics():
        seen = Counter(one["error"] for one in by_step[metrics["step"]] if one["error"])
        assert metrics["errors"] == seen
    [warning] = [event.message for event in run.events() if "left out of the training" in event.message]
    assert re.match(r"The grader failed on \d+% of the last .*completions \(grader_exception \d+\)", warning)
    evaluated = [one for one in run.metrics() if "valid_errors" in one]
    assert [one["step"] for one in evaluated] == [2, 4]
    assert all(one["valid_errors"].keys() <= {"grader_exception"} for one in evaluated)


def test_a_grader_that_fails_on_most_completions_of_a_step_ends_the_run_with_its_own_words(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    arn = lambdas.function(lambda event, context: rewards_some(event, failing=0.8))
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn}, prompts_per_step=8)

    status = run.train()

    assert status == 1
    assert run.failure.startswith("grader_failing: The grader failed on ")
    first = "First failure, grader_exception: RuntimeError: the judge is out of quota\n"
    assert "% of the completions of the validation rows (grader_exception " in run.failure
    assert first in run.failure
    assert "in rewards_some" in run.failure  # the function's own traceback, none of ours
    assert "training_image" not in run.failure


def test_the_step_that_ends_the_run_can_be_read(a_run: MakeRun, lambdas: LambdaEndpoint) -> None:
    validated = set[str]()

    def answer(event: Any, context: Any) -> float:
        """The base model is graded; training, which asks about other prompts, is not."""
        if len(validated) < len(tiny_model.rows(held_out=True)):
            validated.add(event["prompt"])
        elif event["prompt"] not in validated:
            raise RuntimeError("the judge is out of quota")
        return rewards_some(event, failing=0.0)

    run = a_run(grader={"type": "custom_code", "lambda_arn": lambdas.function(answer)})

    status = run.train()

    assert status == 1
    assert "every completion of a step (grader_exception 16)" in run.failure
    ended_by = rollouts(run, 1)
    assert [(one["error"], one["reward"], one["advantage"]) for one in ended_by] == [
        ("grader_exception", None, None)
    ] * 16
    assert all("the judge is out of quota" in one["error_message"] for one in ended_by)


def test_steps_without_any_reward_are_lived_with_if_asked_for_and_have_no_train_reward(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    def answer(event: Any, context: Any) -> float:
        """The grader breaks down after step 1."""
        if run.metrics():
            raise RuntimeError("the judge is out of quota")
        return rewards_some(event, failing=0.0)

    arn = lambdas.function(answer)
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn}, grader_failure_limit=1.0)

    assert run.train() == 0

    first, *others = run.metrics()
    assert [one["errors"] for one in others] == [{"grader_exception": 16}] * 3
    assert "train_mean_reward" in first
    for one in others:
        assert not {"train_mean_reward", "critic_rewards_mean", "reward_std"} & one.keys()
        assert one["scores"] == {"graders": []}
    [told] = [one for one in run.messages() if "no completion of step" in one.lower()]
    assert told == (
        "No completion of step 2 got a reward (grader_exception 16): it changes nothing, nor do the steps "
        "after it until the grader answers again."
    )
    metrics = result(run).metrics
    assert {*metrics} == {f"train_reward_{at}" for at in ("first", "last")} | {
        f"{name}_base" for name in ("valid_reward", "valid_sampled_reward")
    }
    assert metrics["train_reward_last"] == first["train_mean_reward"]
    for checkpoint in CheckpointStore(run.spec.project, run.spec.job_id).list().data:
        assert checkpoint.metrics == {"step": checkpoint.step_number}
    assert result(run).step == 4  # nothing says that it is worse


def test_a_run_told_to_stop_while_its_grader_hangs_leaves_at_once_and_loses_that_step_alone(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    hangs, is_waited_for = threading.Event(), threading.Event()

    def answer(event: Any, context: Any) -> float:
        if run.metrics() and not hangs.is_set():
            is_waited_for.set()
            hangs.wait(300)
        return rewards_some(event, failing=0.0)

    arn = lambdas.function(answer, timeout_seconds=300)
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn}, eval_interval=4)

    process = run.start()
    assert is_waited_for.wait(300)
    process.terminate()
    began = time.monotonic()
    status = process.wait(timeout=100)
    took = time.monotonic() - began
    hangs.set()
    kept = checkpoints.newest(
        run.root / "checkpoints", lambda folder, problem: pytest.fail(f"{folder}: {problem}")
    )

    assert status == 0
    assert took < 60  # what ending takes
    assert kept is not None and kept.name == "step-000001"
    listed = CheckpointStore(run.spec.project, run.spec.job_id).list().data
    assert [checkpoint.step_number for checkpoint in listed] == [1]
    assert run.train() == 0
    assert [metrics["step"] for metrics in run.metrics()] == [1, 2, 3, 4]
    assert all(metrics["errors"] == {} for metrics in run.metrics())


def test_steps_too_large_for_the_weights_end_the_run_with_what_to_change(a_run: MakeRun) -> None:
    run = a_run(learning_rate=1e38, prompts_per_step=8)

    status = run.train()

    assert status == 1
    assert run.failure.startswith("The model does not compute any more (")
    assert "Lower learning_rate_multiplier" in run.failure


def test_a_grader_that_sleeps_ends_the_run_with_what_lambda_says(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    arn = lambdas.function(lambda event, context: time.sleep(5), timeout_seconds=0.2)
    run = a_run(grader={"type": "custom_code", "lambda_arn": arn})

    status = run.train()

    assert status == 1
    assert "First failure, grader_timeout: The function ran into its own time-out" in run.failure


def test_rollouts_say_what_each_reward_took_and_what_came_with_it(
    a_run: MakeRun, lambdas: LambdaEndpoint
) -> None:
    def answer(event: Any, context: Any) -> Any:
        time.sleep(0.02)
        return [
            {"id": one["id"], "aggregate_reward_score": 1, "metrics_list": [{"name": "polite", "value": 0.5}]}
            for one in event
        ]

    arn = lambdas.function(answer)
    run = a_run(grader={"type": "lambda", "lambda": {"function": arn}}, max_steps=1)

    assert run.train() == 0

    for line in rollouts(run, 1):
        assert line["metrics"] == {"polite": 0.5}
        assert line["latency_seconds"] >= 0.02
        assert (line["reward"], line["advantage"]) == (1.0, 0.0)
        assert (line["error"], line["error_message"], line["explanation"]) == (None, None, None)
        assert line["tokens"] == {}


def test_hostile_rewards_leave_the_weights_sound(a_run: MakeRun, lambdas: LambdaEndpoint) -> None:
    hostile = [b"NaN", b"1e999", b"-Infinity", b"true", b'"1.0"', b"null", b"1e300", b"[1]"]
    numbers = [b"1e9", b"-1e9", b"1e-300", b"-0.0", b"0.5", b"3", b"999999999.9", b"1e-45"]

    def answer(event: Any, context: Any) -> bytes:
        place = zlib.crc32(event["response"].encode())
        return (hostile if place % 10 < 4 else numbers)[place // 10 % 8]

    arn = lambdas.function(answer)
    run = a_run(
        grader={"type": "custom_code", "lambda_arn": arn}, grader_failure_limit=0.9, prompts_per_step=8
    )

    assert run.train() == 0

    refused = Counter(one["error"] for step in (1, 2, 3, 4) for one in rollouts(run, step))
    assert refused["invalid_reward"] > 10
    weights = load_file(run.root / "model/adapter_model.safetensors")
    assert all(bool(one.isfinite().all()) for one in weights.values())
    assert any(bool(one.any()) for name, one in weights.items() if "lora_B" in name)


def test_a_grader_that_fails_on_a_tenth_teaches_as_much_as_one_that_never_fails(
    a_run: MakeRun, lambdas: LambdaEndpoint, tmp_path: Path
) -> None:
    """The tolerance is the spread of the sound runs themselves, which differ in their seed alone."""
    calls = Counter[str]()

    def failing(event: Any, context: Any) -> Any:
        """A tenth of the completions, another tenth each time they come, in every way there is."""
        calls[event["response"]] += 1
        place = zlib.crc32(f"{event['response']} {event['prompt']} {calls[event['response']] // 2}".encode())
        if place % 10 == 0:
            match place // 10 % 4:
                case 0:
                    raise RuntimeError("the judge is out of quota")
                case 1:
                    raise TimedOut
                case 2:
                    return b"NaN"
                case _:
                    return {"statusCode": 200, "body": "no verdict"}
        return rewards_some(event, failing=0.0)

    def tuned(name: str, handler: Any, seed: int) -> float:
        arn = lambdas.function(handler, name=name)
        run = a_run(
            grader={"type": "custom_code", "lambda_arn": arn},
            seed=seed,
            root=tmp_path / f"{name}-{seed}",
            max_steps=20,
            prompts_per_step=8,
            num_generations=8,
            eval_interval=10,
            save_steps=10,
            lora_r=16,
        )
        assert run.train() == 0
        if handler is failing:
            lost = Counter(line["error"] for step in range(1, 21) for line in rollouts(run, step))
            assert 0.03 < 1 - lost[None] / lost.total() < 0.2
            assert lost.keys() == {None, *CAUSES}
        return result(run).metrics["valid_reward_tuned"]

    sound = [tuned("sound", lambda event, context: rewards_some(event, failing=0.0), n) for n in (1, 2, 3)]
    faulty = [tuned("faulty", failing, n) for n in (1, 2, 3)]

    spread = max(sound) - min(sound)
    assert fmean(faulty) >= fmean(sound) - max(spread, 0.05), (sound, faulty)


@pytest.mark.parametrize("room_for", ["nothing", "the adapter"])
def test_a_disk_that_fills_up_costs_checkpoints_and_not_the_run(
    a_run: MakeRun, small_disk: Path, room_for: str
) -> None:
    run = a_run(max_steps=12, eval_interval=12, save_steps=3)
    state = run.root / "checkpoints"
    state.symlink_to(small_disk)

    process = run.start()
    adapter = wait_for_state(state, 3)
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
    (small_disk / "model").mkdir()
    (run.root / "model").symlink_to(small_disk / "model")

    process = run.start()
    wait_for_state(state, 3)
    fill(small_disk)
    status = process.wait(timeout=300)

    assert status == 0
    listed = [one.step_number for one in CheckpointStore(run.spec.project, run.spec.job_id).list().data]
    assert 12 not in listed
    assert result(run).step in listed
    assert any(one.startswith("No checkpoint could be written at step 12: ") for one in run.messages())
    assert any(one.startswith("The model could not be copied to ") for one in run.messages())
