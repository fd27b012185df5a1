"""Reward for words in the order asked for, as reasoning-gym's word_sorting gives it."""

import re
from typing import Any


def score(completion: str, answer: str) -> float:
    """The share of words that stand in their place; at least .2 for all the words in another order."""
    wanted = answer.split(", ")
    said = [word.strip() for word in re.split(r",\s*", completion.strip())]
    share = sum(one == other for one, other in zip(said, wanted, strict=False)) / len(wanted)
    return max(share, 0.2) if sorted(said) == sorted(wanted) else share


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
