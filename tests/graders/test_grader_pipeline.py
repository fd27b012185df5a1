"""The pipeline itself: order, concurrency, duplicates, streaming."""

import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

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


def test_completions_may_be_submitted_while_others_are_being_generated(pipeline: MakePipeline) -> None:
    grading = pipeline(length, "custom_code")

    rewards = [grading.submit(a_completion("x" * n)) for n in range(20)]

    assert [reward.result().reward for reward in rewards] == [float(n) for n in range(20)]


def test_a_reward_nobody_wants_any_more_is_not_asked_for(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    arrived, may_go = threading.Event(), threading.Event()

    def handler(event: Any, context: Any) -> Any:
        arrived.set()
        may_go.wait(10)
        return 1.0

    grading = pipeline(handler, "custom_code", concurrency=1)
    wanted = grading.submit(a_completion("wanted"))
    arrived.wait(10)
    unwanted = grading.submit(a_completion("unwanted"))

    assert unwanted.cancel()
    may_go.set()
    assert wanted.result().reward == 1.0
    assert grading.grade([a_completion("later")])[0].reward == 1.0
    assert [event["response"] for event in endpoint.events] == ["wanted", "later"]


def test_closing_gives_up_what_waits_and_retries_no_more(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    arrived, may_go = threading.Event(), threading.Event()

    def handler(event: Any, context: Any) -> Any:
        arrived.set()
        may_go.wait(10)
        return 1.0

    grading = pipeline(handler, "custom_code", concurrency=1)
    under_way = grading.submit(a_completion("under way"))
    arrived.wait(10)
    waiting = grading.submit(a_completion("waiting"))

    grading.close()
    may_go.set()

    assert under_way.result().reward == 1.0
    with pytest.raises(CancelledError):
        waiting.result()
    assert len(endpoint.events) == 1
