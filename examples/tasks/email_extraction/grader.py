"""Reward for a completion that should be one e-mail address and nothing else. Bedrock's batch contract."""

from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the address alone; less the more words stand around it."""
    text = completion.strip()
    if text == answer:
        return 1.0
    if answer in text:
        return 0.2 + 0.5 * len(answer) / len(text)
    return 0.1 if "@" in text and " " not in text else 0.0


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
