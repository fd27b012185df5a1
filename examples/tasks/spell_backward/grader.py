"""Reward for a word spelt backward, as reasoning-gym's spell_backward gives it. Bedrock's batch contract."""

from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the word; else the share of its letters that stand in their place; .8 if more text follows."""
    text, wanted = completion.strip().lower(), answer.lower()
    if text == wanted:
        return 1.0
    share = sum(1 / len(wanted) for said, letter in zip(text, wanted, strict=False) if said == letter)
    return share - 0.2 if share == 1.0 else share


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
