"""Reward for an order as JSON: product and quantity. Bedrock's batch contract, with parts as metrics."""

import json
import re
from typing import Any


def parts(completion: str, answer: dict[str, Any]) -> dict[str, float]:
    """What the reward is made of: JSON and nothing else, its keys, and their values with the right type."""
    text = completion.strip()
    inside = re.search(r"\{[^{}]*\}", text)
    try:
        found = json.loads(inside.group(0)) if inside else {}
    except ValueError:
        found = {}
    right = sum(found.get(key) == value for key, value in answer.items())
    return {
        "alone": float(inside is not None and inside.group(0) == text and bool(found)),
        "keys": float(set(found) == set(answer)),
        "values": right / len(answer),
    }


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
    answers = []
    for sample in event:
        found = parts(sample["messages"][-1]["content"], sample["metadata"]["reference_answer"])
        reward = 0.3 * found["alone"] + 0.2 * found["keys"] + 0.5 * found["values"]
        metrics = [{"name": name, "value": value, "type": "Metric"} for name, value in found.items()]
        answers.append({"id": sample["id"], "aggregate_reward_score": reward, "metrics_list": metrics})
    return answers
