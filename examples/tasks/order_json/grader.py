"""Reward for an order as JSON: name, product, quantity. Bedrock's batch contract, parts as metrics."""

import json
import re
from typing import Any


def parts(completion: str, answer: dict[str, Any]) -> dict[str, float]:
    """What the reward is made of: JSON and nothing else, the right keys, the right values."""
    text = completion.strip()
    inside = re.search(r"\{[^{}]*\}", text)
    try:
        found = json.loads(inside.group(0)) if inside else {}
    except ValueError:
        found = {}
    return {
        "alone": float(inside is not None and inside.group(0) == text and bool(found)),
        "keys": sum(key in found for key in answer) / max(len(answer), len(found)),
        "values": sum(found.get(key) == value for key, value in answer.items()) / len(answer),
    }


def reward(found: dict[str, float]) -> float:
    """1 for the whole answer alone; a tenth of what is right if other words stand around it."""
    right = 0.2 * found["keys"] + 0.6 * found["values"]
    return 0.2 + right if found["alone"] else 0.1 * right


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
    answers = []
    for sample in event:
        found = parts(sample["messages"][-1]["content"], sample["metadata"]["reference_answer"])
        metrics = [{"name": name, "value": value, "type": "Metric"} for name, value in found.items()]
        answers.append({"id": sample["id"], "aggregate_reward_score": reward(found), "metrics_list": metrics})
    return answers
