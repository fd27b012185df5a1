"""Reward for a completion that should be one number, as reasoning-gym's chain_sum gives it."""

from decimal import Decimal, InvalidOperation
from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the number, however it is written; with other text around it, the number's share of the text."""
    text = completion.strip().replace(",", "")
    try:
        if Decimal(text) == Decimal(answer):
            return 1.0
    except InvalidOperation:
        pass
    return len(answer) / len(text) if text and answer in text else 0.0


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
