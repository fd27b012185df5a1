"""Outcrop's job against plain TRL, in turn on one machine, to the same validation reward; prints the ratio.

Both clocks start when the training process starts and stop at the first evaluation that reaches the target,
so model loading and evaluations count for both. Run: python -m benchmarks.against_plain_trl --task
json_extraction --target 0.8
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from openai import OpenAI

from local.stack import LocalStack
from outcrop.cli.demo import TASKS, create_job
from outcrop.cli.local import DEFAULT_MODEL

EVAL_INTERVAL = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="json_extraction")
    parser.add_argument("--target", type=float, default=0.8, help="validation reward to reach")
    asked = parser.parse_args()
    ours = outcrop(asked.task, asked.target)
    theirs = plain_trl(asked.task, asked.target)
    for one in (ours, theirs):
        reward, step, seconds = one["valid_reward"], one["step"], one["seconds"]
        print(f"{one['who']:>10}: reward {reward:.3f} at step {step} after {seconds:.0f} s")
    if not (ours["reached"] and theirs["reached"]):
        sys.exit("The target was not reached by both; the ratio would mean nothing.")
    print(f"plain TRL takes {theirs['seconds'] / ours['seconds']:.2f} times as long to reward {asked.target}")


def outcrop(task: str, target: float) -> dict[str, Any]:
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


def _watch(client: OpenAI, job_id: str, target: float) -> dict[str, Any]:
    started: float | None = None
    last: dict[str, Any] = {"step": 0, "valid_reward": 0.0}
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if started is None and job.status in ("queued", "running"):
            started = time.monotonic()
        for event in client.fine_tuning.jobs.list_events(job_id, limit=5):
            data = event.data if event.type == "metrics" and isinstance(event.data, dict) else {}
            if data.get("full_valid_mean_reward") is not None and data["step"] > last["step"]:
                last = {"step": data["step"], "valid_reward": data["full_valid_mean_reward"]}
        seconds = time.monotonic() - (started or time.monotonic())
        if last["valid_reward"] >= target or job.status in ("succeeded", "failed", "cancelled"):
            if job.status == "running":
                client.fine_tuning.jobs.cancel(job_id)
            return {"who": "Outcrop", "reached": last["valid_reward"] >= target, "seconds": seconds, **last}
        time.sleep(0.5)


def plain_trl(task: str, target: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plain_trl", "--task", task, "--target", str(target)]
    command += ["--eval-interval", str(EVAL_INTERVAL)]
    environment = {**os.environ, "GOMP_SPINCOUNT": "20000"}  # as local training jobs have it
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return json.loads(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
