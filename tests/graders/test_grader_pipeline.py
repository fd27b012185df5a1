"""The pipeline itself: order, concurrency, duplicates, streaming."""

import threading
import time
from typing import Any

from tests.graders.grading import MakePipeline, a_completion
from tests.graders.lambda_endpoint import LambdaEndpoint


def length(event: Any, context: Any) -> Any:
    return len(event["response"])


def test_rewards_come_in_the_order_of_their_completions_whichever_is_done_first(
    pipeline: MakePipeline,
) -> None:
    first_may_go = threading.Event()

    def handler(event: Any, context: Any) -> Any:
        if event["response"] == "x":
            first_may_go.wait(10)
        elif event["response"] == "x" * 4:
            first_may_go.set()
        return len(event["response"])

    rewards = pipeline(handler, "custom_code").grade([a_completion("x" * n) for n in range(1, 5)])

    assert [reward.reward for reward in rewards] == [1.0, 2.0, 3.0, 4.0]


def test_as_many_calls_run_at_once_as_allowed_and_no_more(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    together = threading.Barrier(16)

    def handler(event: Any, context: Any) -> Any:
        together.wait(30)  # nobody is answered before sixteen have arrived
        return 1.0

    rewards = pipeline(handler, "custom_code", concurrency=16).grade(
        [a_completion(str(n)) for n in range(64)]
    )

    assert [reward.reward for reward in rewards] == [1.0] * 64
    assert endpoint.largest_in_flight == 16


def test_the_same_completion_of_the_same_item_is_graded_once(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    completions = [a_completion("xx"), a_completion("x"), a_completion("xx"), a_completion("xx", level=2)]

    rewards = pipeline(length, "custom_code").grade(completions)

    assert [reward.reward for reward in rewards] == [2.0, 1.0, 2.0, 2.0]
    assert len(endpoint.events) == 3


def test_nothing_to_grade_is_no_rewards(pipeline: MakePipeline) -> None:
    assert pipeline(length).grade([]) == []


def test_completions_are_graded_from_when_they_are_submitted_while_others_are_being_generated(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    completions = [a_completion("x" * n) for n in range(20)]
    arrived = threading.Semaphore(0)

    def handler(event: Any, context: Any) -> Any:
        arrived.release()
        return length(event, context)

    step = pipeline(handler, "custom_code").round()
    for completion in reversed(completions):
        step.submit([completion])
        assert arrived.acquire(timeout=10)  # nobody has asked for a reward yet

    assert [reward.reward for reward in step.grade(completions)] == [float(n) for n in range(20)]
    assert len(endpoint.events) == 20


def test_what_comes_twice_in_a_round_is_graded_once_and_again_in_the_next(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    grading = pipeline(length, "custom_code")
    first, second = grading.round(), grading.round()

    first.submit([a_completion("x"), a_completion("xx")])
    first.submit([a_completion("x")])
    rewards = first.grade([a_completion("xx"), a_completion("x"), a_completion("xx"), a_completion("xxx")])

    assert [reward.reward for reward in rewards] == [2.0, 1.0, 2.0, 3.0]
    assert len(endpoint.events) == 3
    assert second.grade([a_completion("x")])[0].reward == 1.0
    assert len(endpoint.events) == 4


def test_closing_ends_what_has_not_had_its_turn_and_retries_no_more(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    arrived, may_go = threading.Event(), threading.Event()

    def handler(event: Any, context: Any) -> Any:
        arrived.set()
        may_go.wait(10)
        return 1.0

    grading = pipeline(handler, "custom_code", concurrency=1)
    step = grading.round()
    step.submit([a_completion("under way")])
    arrived.wait(10)
    step.submit([a_completion("waiting")])

    grading.close()
    may_go.set()
    under_way, waiting, late = step.grade(
        [a_completion("under way"), a_completion("waiting"), a_completion("late")]
    )

    assert under_way.reward == 1.0
    assert waiting.error == late.error == "other_error"
    assert waiting.message == "Grading was ended before this completion had its turn."
    assert len(endpoint.events) == 1


def test_waiting_for_a_turn_is_not_the_graders_latency(pipeline: MakePipeline) -> None:
    may_go = threading.Event()

    def handler(event: Any, context: Any) -> Any:
        if event["response"] == "slow":
            may_go.wait(10)
        return 1.0

    step = pipeline(handler, "custom_code", concurrency=1).round()
    step.submit([a_completion("slow")])
    step.submit([a_completion("waits for the slow one")])
    time.sleep(0.3)
    may_go.set()
    slow, waited = step.grade([a_completion("slow"), a_completion("waits for the slow one")])

    assert slow.latency_seconds >= 0.3 > waited.latency_seconds
