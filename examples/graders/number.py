"""Grades arithmetic: does the last number of the completion equal the reference answer?

Contract: batch, as Amazon Bedrock speaks it (`{"type": "lambda", "lambda": {"function": ARN}}`). A list of
samples comes in, a list of scores goes out, matched by `id`. The reference answer may end in "#### 18".
"""

import re
from typing import Any

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def last_number(text: str) -> float | None:
    numbers = NUMBER.findall(text)
    return float(numbers[-1].replace(",", "")) if numbers else None


def grade(sample: dict[str, Any]) -> dict[str, Any]:
    completion = sample["messages"][-1]["content"]
    found = last_number(completion)
    correct = found is not None and found == last_number(sample["metadata"]["reference_answer"])
    shown = "####" in completion
    return {
        "id": sample["id"],
        "aggregate_reward_score": 0.9 * correct + 0.1 * shown,
        "metrics_list": [
            {"name": "correct", "value": float(correct), "type": "Reward"},
            {"name": "shows_the_answer", "value": float(shown), "type": "Metric"},
        ],
    }


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
    return [grade(sample) for sample in event]
