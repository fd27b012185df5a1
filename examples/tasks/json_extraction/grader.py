"""Reward for a completion that should be a JSON object with exactly the fields and values asked for.

A grader Lambda in Bedrock's batch contract: a list of samples in, a list of scores out. Steps on the way to
the full answer earn something, so that the policy has a slope to climb; only the exact answer earns 1.
"""

import json
import re
from typing import Any


def score(completion: str, answer: dict[str, Any]) -> float:
    text = completion.strip()
    try:
        found = json.loads(text)
    except ValueError:
        inside = re.search(r"\{[^{}]*\}", text)
        return 0.1 * share(inside.group(0), answer) if inside else 0.0
    if not isinstance(found, dict):
        return 0.0
    extra = 0.1 if set(found) - set(answer) else 0.0
    return max(0.0, 0.25 + 0.75 * share(text, answer) - extra)


def share(text: str, answer: dict[str, Any]) -> float:
    """Which part of the answer is in this JSON text.

    A field with the right value and type counts 1, one with a wrong value 0.2.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return 0.0
    points = [(0.2 + 0.8 * (found[key] == value)) for key, value in answer.items() if key in found]
    return sum(points) / len(answer)


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
