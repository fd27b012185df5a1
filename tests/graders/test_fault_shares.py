"""Functions that fail on a share of the completions: exactly those lose their reward, with the right cause,
and finding them takes a bounded number of calls (R10); hostile rewards are refused one by one (R11)."""

import math
import random

import pytest

from outcrop.graders.contracts import parse, read_single
from outcrop.graders.reward import LARGEST_REWARD, GradingError
from tests.graders.faults import FAULTS, function, is_bad
from tests.graders.grading import MakePipeline, a_completion
from tests.graders.lambda_endpoint import PASSED, LambdaEndpoint

COMPLETIONS = 32


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("fault", FAULTS)
def test_exactly_the_faulty_completions_lose_their_reward(
    pipeline: MakePipeline, endpoint: LambdaEndpoint, fault: str, share: float
) -> None:
    grading = pipeline(function(fault, share), concurrency=1)
    grading.grade([a_completion("0 warm")])
    endpoint.attempts = 0

    rewards = grading.grade([a_completion(str(n)) for n in range(COMPLETIONS)])

    bad = {n for n in range(COMPLETIONS) if is_bad(n, share)}
    assert {n for n, reward in enumerate(rewards) if reward.error} == bad
    assert {rewards[n].error for n in bad} == {FAULTS[fault].kind}
    assert all(reward.reward == n for n, reward in enumerate(rewards) if n not in bad)
    assert endpoint.attempts <= min(3 * COMPLETIONS, 1 + len(bad) * (2 * math.log2(COMPLETIONS) + 1))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_function_that_always_fails_gives_no_reward_and_its_own_cause(
    pipeline: MakePipeline, endpoint: LambdaEndpoint, fault: str
) -> None:
    rewards = pipeline(function(fault, 1.0)).grade([a_completion(str(n)) for n in range(8)])

    assert {reward.reward for reward in rewards} == {None}
    assert {reward.error for reward in rewards} == {FAULTS[fault].kind}
    assert endpoint.attempts <= 8 * 8


def test_throttling_of_half_of_the_calls_costs_few_rewards_and_never_gives_wrong_ones(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    chance = random.Random(7)
    throttled = (429, "TooManyRequestsException")
    grading = pipeline(function("exception", 0.0), concurrency=8)
    grading.grade([a_completion("0 warm")])
    endpoint.fail(*[throttled if chance.random() < 0.5 else (PASSED, "") for _ in range(2000)])

    rewards = grading.grade([a_completion(str(n)) for n in range(COMPLETIONS)])

    assert {reward.error for reward in rewards} <= {None, "grader_throttled"}
    assert sum(reward.error is None for reward in rewards) >= 0.8 * COMPLETIONS
    assert all(reward.reward in (None, n) for n, reward in enumerate(rewards))


HOSTILE = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "1e308",
        "-0.0",
        "true",
        "null",
        '"1.0"',
        '"NaN"',
        "[1]",
        "{}",
    ),
    *('{"score": NaN}', '{"reward": "7"}', '{"score": {"score": 1}}', '{"score": [1.0]}', "1" + "0" * 400),
    *("9" * 5000, "[" * 3000 + "]" * 3000, "\ud800", "0x10", "1_000", "+1", ".5", "1.", "1e", "0.5", "-3"),
)


def test_ten_thousand_hostile_rewards_are_numbers_that_can_be_learned_from_or_errors() -> None:
    chance = random.Random(11)
    answers = [chance.choice(HOSTILE) for _ in range(5000)]
    answers += [repr(chance.uniform(-2, 2) * 10 ** chance.uniform(-300, 300)) for _ in range(5000)]

    rewards: list[float] = []
    errors: list[GradingError] = []
    for answer in answers:
        try:
            outcome = read_single(parse(answer.encode(errors="surrogatepass")))
        except GradingError as error:
            outcome = error
        if isinstance(outcome, GradingError):
            errors.append(outcome)
        else:
            rewards.append(outcome.reward)

    assert len(rewards) > 1000 and len(errors) > 1000
    assert all(type(one) is float and abs(one) <= LARGEST_REWARD for one in rewards)
    assert {one.kind for one in errors} == {"invalid_reward", "missing_reward"}
