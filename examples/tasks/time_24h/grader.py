"""Reward for a completion that should be a time as HH:MM and nothing else. Bedrock's batch contract."""

import re
from typing import Any


def score(completion: str, answer: str) -> float:
    """1 for the time alone; less for a time that is right in part, or that has other words around it."""
    text = completion.strip()
    found = re.search(r"(\d{1,2}):(\d{2})", text)
    if not found:
        return 0.0
    hour, minute = answer.split(":")
    right = 0.3 * (found.group(2) == minute) + 0.3 * (found.group(1) == hour)
    alone = 0.4 if re.fullmatch(r"\d\d:\d\d", text) else 0.0
    return right + alone * (0.25 + 0.75 * (found.group(0) == answer))


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
