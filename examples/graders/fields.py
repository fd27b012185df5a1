"""Grades extraction: how many of the row's `fields` does the completion's JSON have right?

Contract: OpenAI-like. `item` is the training row, `sample` what the model wrote, as in OpenAI's Python
graders: `grade` could be one of those, unchanged. The answer is a number.
"""

from typing import Any


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    found = sample.get("output_json")  # there if the completion is valid JSON
    if not isinstance(found, dict):
        return 0.0
    wanted = item["fields"]
    right = sum(found.get(name) == value for name, value in wanted.items())
    invented = len(set(found) - set(wanted))
    return right / (len(wanted) + invented)


def lambda_handler(event: dict[str, Any], context: Any) -> float:
    return grade(event["sample"], event["item"])
