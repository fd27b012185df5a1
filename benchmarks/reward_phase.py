"""How close the reward phase of a step comes to the ideal, for a grader that takes its time.

First with all completions there at once: the ideal is `ceil(completions / concurrency) * seconds`, every call
starting when another ends. Then with completions that are finished one after another, as they are during
generation: the ideal is the time that takes and one call more. The grader answers over HTTP on loopback:
boto3, its connections and the threads are in the figures, the network is not.

    python -m benchmarks.reward_phase
    python -m benchmarks.reward_phase --contract batch --completions 512 --concurrency 64 --seconds 0.5
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline, Reward
from outcrop.types.grader import CustomCodeGrader, Grader, LambdaGrader, LambdaTarget
from tests.graders.lambda_endpoint import LambdaEndpoint

Phase = Callable[[GraderPipeline, Sequence[GradedCompletion]], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--contract", choices=["single", "batch"], default="single")
    parser.add_argument("--completions", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0.5, help="what the grader takes for one completion")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--generation", type=float, default=12.0, help="seconds in which completions arrive")
    options = parser.parse_args()

    def completions(step: int) -> list[GradedCompletion]:
        item = {"messages": [{"role": "user", "content": "2 + 2?"}], "reference_answer": "4"}
        return [GradedCompletion(item, f"{step}: the answer is {n}") for n in range(options.completions)]

    ideal = math.ceil(options.completions / options.concurrency) * options.seconds
    with grading(options.contract, options.concurrency, options.seconds) as pipeline:
        phases: list[tuple[str, Phase, float]] = [
            ("all at once", at_once, ideal),
            (
                f"arriving over {options.generation:g} s",
                partial(arriving, seconds=options.generation),
                options.generation + options.seconds,
            ),
        ]
        for title, phase, best in phases:
            took = [phase(pipeline, completions(step)) for step in range(options.steps)]
            for step, seconds in enumerate(took, 1):
                print(f"{title}, step {step}: {seconds:.2f} s, {seconds / best:.3f} x the ideal {best:.2f} s")
            print(f"{title}, median: {statistics.median(took) / best:.3f} x the ideal")


@contextmanager
def grading(contract: str, concurrency: int, seconds: float) -> Iterator[GraderPipeline]:
    """With a function that takes `seconds` for each completion. The first calls find out its contract."""

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
    yield pipeline
    pipeline.close()
    endpoint.stop()


def at_once(pipeline: GraderPipeline, completions: Sequence[GradedCompletion]) -> float:
    """Seconds until all are graded."""
    started = time.perf_counter()
    _expect_all(pipeline.grade(completions))
    return time.perf_counter() - started


def arriving(pipeline: GraderPipeline, completions: Sequence[GradedCompletion], seconds: float) -> float:
    """Seconds until all are graded, from when the first is generated: the last is there after `seconds`."""
    started = time.perf_counter()
    step = pipeline.round()
    for n, completion in enumerate(completions, 1):
        time.sleep(max(0.0, started + seconds * n / len(completions) - time.perf_counter()))
        step.submit([completion])
    _expect_all(step.grade(completions))
    return time.perf_counter() - started


def _expect_all(rewards: Sequence[Reward]) -> None:
    failed = [reward.message for reward in rewards if reward.error]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(rewards)} completions got no reward: {failed[0]}")


if __name__ == "__main__":
    main()
