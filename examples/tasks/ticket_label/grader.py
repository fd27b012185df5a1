"""Reward for a completion that should be one label, nothing else. Bedrock's batch contract."""

from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the label alone, in any case of letters; with other text, the label's share of the text."""
    text = completion.strip().rstrip(".").lower()
    return len(answer) / len(text) if answer in text else 0.0


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
