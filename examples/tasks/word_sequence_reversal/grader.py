"""Reward for a list of words turned round, as reasoning-gym's word_sequence_reversal gives it."""

from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the list alone; with other text around it, the list's share of the text."""
    text = completion.strip()
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
