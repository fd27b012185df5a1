"""Functions written for each contract, called over HTTP by boto3."""

from typing import Any

import pytest

from tests.graders.grading import MakePipeline, a_completion
from tests.graders.lambda_endpoint import LambdaEndpoint


def batch(event: Any, context: Any) -> Any:
    """As Bedrock's documentation has it."""
    return [
        {
            "id": sample["id"],
            "aggregate_reward_score": float(
                sample["messages"][-1]["content"] == sample["reference_answer"]["text"]
            ),
            "metrics_list": [
                {"name": "length", "value": len(sample["messages"][-1]["content"]), "type": "Metric"}
            ],
        }
        for sample in event
    ]


def single(event: Any, context: Any) -> Any:
    """As in the announcement."""
    score = float(event["response"] == event["reference_answer"]) if "2 + 2" in event["prompt"] else -1.0
    return {"statusCode": 200, "body": f'{{"score": {score}}}'}


def careful_single(event: Any, context: Any) -> Any:
    """Answers what it does not understand with a status, as functions behind API Gateway do."""
    try:
        return {"statusCode": 200, "body": {"score": float(event["response"] == event["reference_answer"])}}
    except Exception as error:
        return {"statusCode": 400, "body": str(error)}


def openai_like(event: Any, context: Any) -> Any:
    return float(event["sample"]["output_text"] == event["item"]["reference_answer"])


def openai_like_by_keyword(event: Any, context: Any) -> Any:
    def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
        return float(sample["output_text"] == item["reference_answer"])

    return {"reward": grade(**event)}


def forgiving_zero(event: Any, context: Any) -> Any:
    """Answers what it does not understand with a number: only the shape of the answer gives it away."""
    try:
        return {"score": float(event["response"] == event["reference_answer"])}
    except Exception:
        return {"score": 0.0}


@pytest.mark.parametrize("type", ["lambda", "custom_code"])
@pytest.mark.parametrize(
    "handler", [batch, single, careful_single, openai_like, openai_like_by_keyword, forgiving_zero]
)
def test_every_contract_works_whichever_type_declares_it(
    pipeline: MakePipeline, handler: Any, type: str
) -> None:
    grading = pipeline(handler, type)

    first = grading.grade([a_completion("4"), a_completion("5")])
    second = grading.grade([a_completion(str(n)) for n in range(20)])

    assert [reward.reward for reward in first] == [1.0, 0.0]
    assert [reward.reward for reward in second] == [float(n == 4) for n in range(20)]


def test_metrics_and_latency_come_with_the_reward(pipeline: MakePipeline) -> None:
    [reward] = pipeline(batch).grade([a_completion("4444")])

    assert reward.metrics == {"length": 4.0}
    assert reward.latency_seconds > 0


def test_the_contract_is_found_out_once(pipeline: MakePipeline, endpoint: LambdaEndpoint) -> None:
    grading = pipeline(single, "lambda")

    grading.grade([a_completion("4")])
    calls_of_the_first = endpoint.attempts
    grading.grade([a_completion("5")])

    assert calls_of_the_first == 2  # a list, which it fails on; then an object
    assert endpoint.attempts == 3


def test_a_batch_is_no_larger_than_needed_to_keep_every_call_busy(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    grading = pipeline(batch, concurrency=4)
    grading.grade([a_completion("4")])
    endpoint.events.clear()

    grading.grade([a_completion(str(n)) for n in range(4)])
    of_four = [len(event) for event in endpoint.events]
    endpoint.events.clear()
    grading.grade([a_completion(str(n)) for n in range(1000)])
    of_a_thousand = [len(event) for event in endpoint.events]

    assert of_four == [1, 1, 1, 1]
    assert sum(of_a_thousand) == 1000
    assert max(of_a_thousand) == 64


def test_the_calls_that_find_out_the_contract_leave_the_rest_to_be_shared_evenly(
    pipeline: MakePipeline, endpoint: LambdaEndpoint
) -> None:
    rewards = pipeline(batch, concurrency=8).grade([a_completion(str(n)) for n in range(64)])

    assert sum(reward.reward or 0 for reward in rewards) == 1.0
    assert max(len(event) for event in endpoint.events) <= 8


def test_a_batch_over_4_mb_is_split(pipeline: MakePipeline, endpoint: LambdaEndpoint) -> None:
    grading = pipeline(batch, concurrency=1)
    grading.grade([a_completion("4")])
    endpoint.events.clear()

    rewards = grading.grade([a_completion("x" * 900_000 + str(n)) for n in range(8)])

    assert [reward.reward for reward in rewards] == [0.0] * 8
    assert [len(event) for event in endpoint.events] == [4, 4]


def test_a_completion_over_6_mb_is_an_error_of_its_own(pipeline: MakePipeline) -> None:
    rewards = pipeline(batch).grade([a_completion("x" * 6_300_000), a_completion("4")])

    assert [reward.error for reward in rewards] == ["other_error", None]
    assert rewards[0].message == "The event has 6.3 MB; Lambda takes no more than 6 MB."
