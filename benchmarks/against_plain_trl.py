"""Outcrop's job against plain TRL, in turn on one machine, to the same validation rewards; prints both curves
and how many times as long plain TRL takes to each.

Both clocks start when the training process starts and stop at the first evaluation that reaches the highest
target, so imports (compiled before), model loading and evaluations count for both. Run:
python -m benchmarks.against_plain_trl --task json_extraction --target 0.5 --target 0.8
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openai import OpenAI

from local.stack import LocalStack
from outcrop.cli.demo import TASKS, create_job
from outcrop.cli.local import DEFAULT_MODEL

EVAL_INTERVAL = 4
Curve = list[dict[str, float]]
"""Of each evaluation `step`, `valid_reward`, and `seconds` since the process started."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="json_extraction")
    parser.add_argument("--target", type=float, action="append", help="validation reward; repeatable")
    asked = parser.parse_args()
    targets = sorted(asked.target or [0.8])
    _import_once()
    ours = outcrop(asked.task, targets[-1])
    theirs = plain_trl(asked.task, targets[-1])
    for who, curve in (("Outcrop", ours), ("plain TRL", theirs)):
        for one in curve:
            print(f"{who:>10}: {one['valid_reward']:.3f} at step {one['step']} after {one['seconds']:.0f} s")
    missed = [target for target in targets if not _tell(target, ours, theirs)]
    if missed:
        sys.exit(f"Not reached by both: {missed}; a ratio would mean nothing.")


def _import_once() -> None:
    """What both import is compiled and in the system's file cache before either clock starts."""
    imports = "import trl.trainer.grpo_trainer, training_image.trainer.reporter, training_image.trainer.grpo"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", imports], env=environment, check=True)  # noqa: S603


def _tell(target: float, ours: Curve, theirs: Curve) -> bool:
    reached = [
        next((one for one in curve if one["valid_reward"] >= target), None) for curve in (ours, theirs)
    ]
    if not all(reached):
        return False
    mine, plain = (one for one in reached if one)
    print(
        f"to reward {target}: Outcrop {mine['seconds']:.0f} s and {mine['step']} steps, plain TRL "
        f"{plain['seconds']:.0f} s and {plain['step']} steps, {plain['seconds'] / mine['seconds']:.2f} times "
        "as long"
    )
    return True


def outcrop(task: str, target: float) -> Curve:
    """Run the demo task's job until an evaluation reaches the target, then cancel it."""
    folder = TASKS / task
    with tempfile.TemporaryDirectory() as state:
        stack = LocalStack(Path(state), 0, {task: (folder / "grader.py", None)}, [DEFAULT_MODEL])
        stack.start()
        try:
            client = OpenAI(base_url=stack.base_url, api_key=stack.api_key)
            job = create_job(client, folder, eval_interval=EVAL_INTERVAL)
            return _watch(client, job.id, target)
        finally:
            stack.stop()


def _watch(client: OpenAI, job_id: str, target: float) -> Curve:
    started: float | None = None
    curve: dict[int, dict[str, float]] = {}
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if started is None and job.status in ("queued", "running"):
            started = time.monotonic()
        seconds = time.monotonic() - (started or time.monotonic())
        for event in client.fine_tuning.jobs.list_events(job_id, limit=5):
            data = event.data if event.type == "metrics" and isinstance(event.data, dict) else {}
            reward, step = data.get("full_valid_mean_reward"), data.get("step")
            if reward is not None and step and step not in curve:
                curve[step] = {"step": step, "valid_reward": reward, "seconds": seconds}
        best = max((one["valid_reward"] for one in curve.values()), default=0.0)
        if best >= target or job.status in ("succeeded", "failed", "cancelled"):
            if job.status == "running":
                client.fine_tuning.jobs.cancel(job_id)
            return sorted(curve.values(), key=lambda one: one["step"])
        time.sleep(1)


def plain_trl(task: str, target: float) -> Curve:
    command = [sys.executable, "-m", "benchmarks.plain_trl", "--task", task, "--target", str(target)]
    command += ["--eval-interval", str(EVAL_INTERVAL)]
    environment = {**os.environ, "GOMP_SPINCOUNT": "20000"}  # as local training jobs have it
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return json.loads(run.stdout.splitlines()[-1])["curve"]


if __name__ == "__main__":
    main()
