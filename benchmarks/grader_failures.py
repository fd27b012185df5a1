"""What a failing Lambda grader costs: how many completions lose their reward, in how many calls, and what a
run makes of it (R10).

Each fault on a share of the completions, in batches, through the real grader over HTTP on loopback. A
completion that gets a reward it should not have, or loses one for the wrong cause, ends the benchmark.

    python -m benchmarks.grader_failures --completions 1000
"""

import argparse
import os
import random
import time

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline, Reward
from outcrop.types.grader import LambdaGrader, LambdaTarget
from tests.graders.faults import FAULTS, function, is_bad
from tests.graders.lambda_endpoint import PASSED, LambdaEndpoint

SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
THROTTLED = (429, "TooManyRequestsException")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--completions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()

    print(
        "| fault | share | no reward | causes | calls | seconds | a step like this |",
        "|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for fault in (*FAULTS, "429"):
        for share in SHARES:
            measure(fault, share, options.completions, options.concurrency)


def measure(fault: str, share: float, count: int, concurrency: int) -> None:
    endpoint = LambdaEndpoint()
    os.environ |= {
        "AWS_ENDPOINT_URL_LAMBDA": endpoint.url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
    }
    is_throttling = fault == "429"
    arn = endpoint.function(function("exception", 0.0) if is_throttling else function(fault, share))
    grader = LambdaGrader.model_validate({"type": "lambda", "lambda": LambdaTarget(function=arn)})
    pipeline = GraderPipeline(grader, concurrency=concurrency, backoff_seconds=0.02)
    if share < 1:
        pipeline.grade([_completion("0 warm")])
    endpoint.attempts = 0
    if is_throttling:
        chance = random.Random(7)  # noqa: S311
        endpoint.fail(*[THROTTLED if chance.random() < share else (PASSED, "") for _ in range(50 * count)])

    started = time.perf_counter()
    rewards = pipeline.grade([_completion(str(n)) for n in range(count)])
    seconds = time.perf_counter() - started
    pipeline.close()
    endpoint.stop()

    if not is_throttling:
        _expect(rewards, {n for n in range(count) if is_bad(n, share)}, FAULTS[fault].kind)
    failed = [reward for reward in rewards if reward.error]
    causes = ", ".join(sorted({str(reward.error) for reward in failed})) or "-"
    lost = len(failed) / count
    verdict = "fails the job" if lost > 0.5 else "is warned of" if lost > 0.1 else "goes on"
    cells = (fault, f"{share:.1%}", len(failed), causes, endpoint.attempts, f"{seconds:.1f}", verdict)
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def _completion(text: str) -> GradedCompletion:
    return GradedCompletion({"messages": [], "reference_answer": "4"}, text)


def _expect(rewards: list[Reward], bad: set[int], kind: str) -> None:
    for n, reward in enumerate(rewards):
        right = (None, kind) if n in bad else (float(n), None)
        if (reward.reward, reward.error) != right:
            raise SystemExit(f"completion {n} should have {right}; it has {reward}")


if __name__ == "__main__":
    main()
