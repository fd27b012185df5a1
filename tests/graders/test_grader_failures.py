"""Bad days of a function and of Lambda: who loses the reward, what is said, and how often it is tried."""

import threading
from collections import Counter
from typing import Any

import pytest

from outcrop.graders.lambda_function import LambdaFunction
from outcrop.graders.reward import GradingError
from tests.graders.grading import MakePipeline, a_completion
from tests.graders.lambda_endpoint import DROPPED, LambdaEndpoint, TimedOut

THROTTLED = (429, "TooManyRequestsException")


def answers(event: list[dict[str, Any]], reward: Any = 1.0) -> list[dict[str, Any]]:
    return [{"id": one["id"], "aggregate_reward_score": reward} for one in event]


def text_of(entry: dict[str, Any]) -> str:
    return entry["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (None, "missing_reward", "answered nothing"),
        ("good", "missing_reward", "answered a text"),
        ([], "missing_reward", "answered 0 for 1 completions"),
        (b"", "missing_reward", "not valid JSON"),
        (b"<html>", "missing_reward", "not valid JSON"),
        (b"NaN", "invalid_reward", "NaN or Infinity"),
        ({"statusCode": 500, "body": "boom"}, "grader_exception", "statusCode 500: boom"),
    ],
)
@pytest.mark.parametrize("type", ["lambda", "custom_code"])
def test_an_answer_that_is_none_is_no_reward(
    pipeline: MakePipeline, type: str, answer: Any, kind: str, message: str
) -> None:
    rewards = pipeline(lambda event, context: answer, type).grade([a_completion("4"), a_completion("5")])

    for reward in rewards:
        assert reward.reward is None
        assert reward.error == kind
        assert reward.message is not None
        assert message in reward.message


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), True, "1.0", None, 1e300, [1]])
def test_a_bad_reward_in_a_batch_costs_that_completion_alone(pipeline: MakePipeline, bad: Any) -> None:
    def handler(event: Any, context: Any) -> Any:
        return [answers([one], bad if text_of(one) == "5" else 1.0)[0] for one in event]

    grading = pipeline(handler, concurrency=1)
    grading.grade([a_completion("0")])

    rewards = grading.grade([a_completion(str(n)) for n in range(10)])

    assert [reward.error for reward in rewards] == [None] * 5 + ["invalid_reward"] + [None] * 4


def test_answers_in_another_order_reach_their_completions(pipeline: MakePipeline) -> None:
    def handler(event: Any, context: Any) -> Any:
        return [answers([one], float(text_of(one)))[0] for one in sorted(event, key=lambda one: one["id"])]

    grading = pipeline(handler, concurrency=2)
    grading.grade([a_completion("0")])

    rewards = grading.grade([a_completion(str(n)) for n in range(50)])

    assert [reward.reward for reward in rewards] == [float(n) for n in range(50)]


def test_too_few_answers_cost_those_left_out_alone(pipeline: MakePipeline) -> None:
    grading = pipeline(lambda event, context: answers(event)[: max(1, len(event) - 2)], concurrency=1)
    grading.grade([a_completion("0")])

    rewards = grading.grade([a_completion(str(n)) for n in range(10)])

    assert [reward.error for reward in rewards] == [None] * 8 + ["missing_reward"] * 2
    assert rewards[-1].message == "The function left an id out: it answered 8 for 10 completions."


def test_one_poisonous_completion_is_isolated_and_its_neighbours_keep_their_rewards(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    def handler(event: Any, context: Any) -> Any:
        return [answers([one], 1 / (int(text_of(one)) - 13))[0] for one in event]

    grading = pipeline(handler, concurrency=1)
    grading.grade([a_completion("0")])
    endpoint.attempts = 0

    rewards = grading.grade([a_completion(str(n)) for n in range(32)])

    assert [n for n, reward in enumerate(rewards) if reward.error] == [13]
    assert rewards[13].error == "grader_exception"
    assert rewards[13].message is not None
    assert rewards[13].message.startswith("ZeroDivisionError: division by zero\n")
    assert "in handler" in rewards[13].message
    assert endpoint.attempts == 1 + 2 * 5 + 1  # the batch, two halves of each of five sizes, one retry alone


def test_a_poisonous_first_row_does_not_hide_the_contract(pipeline: MakePipeline) -> None:
    def handler(event: Any, context: Any) -> Any:
        return answers(event, 1 / int(text_of(event[0])))

    grading = pipeline(handler)

    rewards = [grading.grade([a_completion(text)])[0] for text in ("0", "1", "2")]

    assert [reward.error for reward in rewards] == ["grader_exception", None, None]


def test_an_exception_that_passes_is_tried_once_more(pipeline: MakePipeline) -> None:
    seen: Counter[str] = Counter()

    def handler(event: Any, context: Any) -> Any:
        seen[event["response"]] += 1
        if seen[event["response"]] == 1:
            raise ConnectionError("judge throttled")
        return 1.0

    grading = pipeline(handler, "custom_code", concurrency=1)

    rewards = grading.grade([a_completion(str(n)) for n in range(3)])

    assert [reward.reward for reward in rewards] == [1.0] * 3


def test_a_function_that_always_raises_says_so_for_every_completion(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    def handler(event: Any, context: Any) -> Any:
        raise KeyError("api_key")

    rewards = pipeline(handler).grade([a_completion(str(n)) for n in range(6)])

    assert {reward.error for reward in rewards} == {"grader_exception"}
    assert all((reward.message or "").startswith("KeyError: 'api_key'") for reward in rewards)
    assert endpoint.attempts == 6 * 4  # three contracts, and the declared one again


def test_a_function_that_sleeps_times_out_and_is_tried_once_more(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    awake = threading.Event()
    grading = pipeline(lambda event, context: awake.wait(30), function_timeout_seconds=0.05)

    [reward] = grading.grade([a_completion("4")])
    awake.set()

    assert reward.error == "grader_timeout"
    assert reward.message is not None
    assert "Task timed out after 0.05 seconds" in reward.message
    assert endpoint.attempts == 2


def test_a_function_that_never_answered_is_not_waited_for_by_every_completion(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    def handler(event: Any, context: Any) -> Any:
        raise TimedOut

    grading = pipeline(handler, concurrency=2)

    rewards = grading.grade([a_completion(str(n)) for n in range(100)])

    assert {reward.error for reward in rewards} == {"grader_timeout"}
    assert endpoint.attempts <= 2 * 2


def test_a_completion_the_function_sleeps_over_does_not_take_its_batch_along(pipeline: MakePipeline) -> None:
    def handler(event: Any, context: Any) -> Any:
        if any(text_of(one) == "3" for one in event):
            raise TimedOut
        return answers(event)

    grading = pipeline(handler, concurrency=1)
    grading.grade([a_completion("0")])

    rewards = grading.grade([a_completion(str(n)) for n in range(4)])

    assert [reward.error for reward in rewards] == [None, None, None, "grader_timeout"]


@pytest.mark.parametrize("fault", [THROTTLED, (500, "ServiceException"), (502, ""), (DROPPED, "")])
def test_a_passing_fault_of_lambda_is_outlasted(
    pipeline: MakePipeline, endpoint: LambdaEndpoint, fault: tuple[int, str]
) -> None:
    grading = pipeline(lambda event, context: answers(event))
    endpoint.fail(fault, fault, fault)

    [reward] = grading.grade([a_completion("4")])

    assert reward.reward == 1.0
    assert endpoint.attempts == 4


@pytest.mark.parametrize(
    ("fault", "kind", "attempts"),
    [
        (THROTTLED, "grader_throttled", 6),
        ((503, "ServiceException"), "grader_unavailable", 4),
        ((DROPPED, ""), "grader_unavailable", 4),
        ((403, "AccessDeniedException"), "grader_access_denied", 1),
        ((404, "ResourceNotFoundException"), "grader_not_found", 1),
        ((400, "InvalidRuntimeException"), "other_error", 1),
    ],
)
def test_a_lasting_fault_is_told_apart_and_never_becomes_a_reward(
    pipeline: MakePipeline, endpoint: LambdaEndpoint, fault: tuple[int, str], kind: str, attempts: int
) -> None:
    grading = pipeline(lambda event, context: answers(event))
    endpoint.fail(*[fault] * attempts)

    [reward] = grading.grade([a_completion("4")])

    assert (reward.reward, reward.error) == (None, kind)
    assert endpoint.attempts == attempts


def test_one_completion_in_a_hundred_failing_leaves_the_others_as_they_are(pipeline: MakePipeline) -> None:
    def handler(event: Any, context: Any) -> Any:
        if any(int(text_of(one)) % 100 == 50 for one in event):
            raise ValueError("poison")
        return [answers([one], float(text_of(one)))[0] for one in event]

    grading = pipeline(handler, concurrency=4)
    grading.grade([a_completion("0")])

    rewards = grading.grade([a_completion(str(n)) for n in range(300)])

    assert [n for n, reward in enumerate(rewards) if reward.error] == [50, 150, 250]
    assert all(reward.reward == n for n, reward in enumerate(rewards) if not reward.error)


@pytest.mark.slow
def test_a_function_that_does_not_answer_is_hung_up_on(endpoint: LambdaEndpoint) -> None:
    awake = threading.Event()
    arn = endpoint.function(lambda event, context: awake.wait(60), timeout_seconds=60)
    function = LambdaFunction(arn, timeout_seconds=0.1, backoff_seconds=0)

    with pytest.raises(GradingError, match=r"The function did not answer within 10\.1 s\.") as raised:
        function.invoke(b"{}", once=["grader_timeout"])
    awake.set()

    assert raised.value.kind == "grader_timeout"
