"""Reward for a completion that should be one date as YYYY-MM-DD, nothing else. Bedrock's batch contract."""

import re
from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the date alone; less for the date among other words, or for a date that is right in part."""
    text = completion.strip()
    if text == answer:
        return 1.0
    if answer in text:
        return 0.5
    found = re.search(r"(\d{4})-(\d{2})-(\d{2})", text)
    if not found:
        return 0.0
    right = sum(part == wanted for part, wanted in zip(found.groups(), answer.split("-"), strict=True))
    return 0.1 + 0.1 * right + (0.1 if found.group(0) == text else 0.0)


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": sample["id"],
            "aggregate_reward_score": score(
                sample["messages"][-1]["content"], sample["metadata"]["reference_answer"]
            ),
        }
        for sample in event
    ]
