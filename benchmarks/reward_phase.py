"""How close the reward phase of a step comes to the ideal, for a grader that takes its time.

The ideal is `ceil(completions / concurrency) * seconds`: every call starts when another ends. The grader
answers over HTTP on loopback: boto3, its connections and the threads are in the figure, the network is not.

    python -m benchmarks.reward_phase
    python -m benchmarks.reward_phase --contract batch --completions 512 --concurrency 64 --seconds 0.5
"""

import argparse
import math
import os
import statistics
import time
from typing import Any

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline
from outcrop.types.grader import CustomCodeGrader, Grader, LambdaGrader, LambdaTarget
from tests.graders.lambda_endpoint import LambdaEndpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--contract", choices=["single", "batch"], default="single")
    parser.add_argument("--completions", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0.5, help="what the grader takes for one completion")
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()

    ideal = math.ceil(options.completions / options.concurrency) * options.seconds
    phases = measure(
        options.contract, options.completions, options.concurrency, options.seconds, options.steps
    )
    for step, seconds in enumerate(phases, 1):
        print(f"step {step}: {seconds:.2f} s, {seconds / ideal:.3f} x the ideal of {ideal:.2f} s")
    median = statistics.median(phases)
    print(f"median: {median:.2f} s, {median / ideal:.3f} x the ideal")


def measure(contract: str, completions: int, concurrency: int, seconds: float, steps: int) -> list[float]:
    """Seconds of each step's reward phase. The first includes finding out the contract."""

    def single(event: Any, context: Any) -> Any:
        time.sleep(seconds)
        return {"statusCode": 200, "body": {"score": 1.0}}

    def batch(event: Any, context: Any) -> Any:
        time.sleep(seconds * len(event))
        return [{"id": one["id"], "aggregate_reward_score": 1.0} for one in event]

    endpoint = LambdaEndpoint()
    os.environ |= {
        "AWS_ENDPOINT_URL_LAMBDA": endpoint.url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
    }
    arn = endpoint.function(single if contract == "single" else batch)
    grader: Grader = (
        CustomCodeGrader(type="custom_code", lambda_arn=arn)
        if contract == "single"
        else LambdaGrader.model_validate({"type": "lambda", "lambda": LambdaTarget(function=arn)})
    )
    pipeline = GraderPipeline(grader, concurrency=concurrency)
    phases: list[float] = []
    for step in range(steps):
        row = {"messages": [{"role": "user", "content": "2 + 2?"}], "reference_answer": "4"}
        batch_of_step = [GradedCompletion(row, f"{step}: the answer is {n}") for n in range(completions)]
        started = time.perf_counter()
        rewards = pipeline.grade(batch_of_step)
        phases.append(time.perf_counter() - started)
        failed = [reward.message for reward in rewards if reward.error]
        if failed:
            raise SystemExit(f"{len(failed)} of {completions} completions got no reward: {failed[0]}")
    pipeline.close()
    endpoint.stop()
    return phases


if __name__ == "__main__":
    main()
