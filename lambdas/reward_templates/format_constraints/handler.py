"""Rewards form: which share of the constraints in the row does the completion keep?

The row has them as `constraints` or as `reference_answer`, for instance `{"words": {"max": 50},
"forbidden": ["sorry"]}`; `constraints.py` has them all, README.md says what each means. Contract: batch,
as Amazon Bedrock speaks it.
"""

import json
import logging
import traceback
from typing import Any

from constraints import CONSTRAINTS, CannotCheck

logger = logging.getLogger(__name__)


class CannotGrade(Exception):
    """Why a sample gets no reward. The message is logged, so it quotes nothing of the sample."""


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    """An entry per sample that could be graded. The others are left out, which costs them alone, and a log
    line says why; where none could be graded, the first reason is raised, so that a dry run shows it.
    """
    if not isinstance(event, list):
        raise TypeError('The event has to be a list of samples: the grader\'s type is "lambda".')
    answer: list[dict[str, Any]] = []
    reasons: list[str] = []
    for sample in event:
        try:
            answer.append({"id": sample["id"], **grade(sample)})
        except Exception as error:
            reasons.append(reason_of(error))
            id = sample.get("id") if isinstance(sample, dict) else None
            logger.warning("no reward: id=%s reason=%s", id, reasons[-1])
    if reasons and not answer:
        raise CannotGrade(reasons[0])
    return answer


def grade(sample: dict[str, Any]) -> dict[str, Any]:
    """The weighted mean of what the constraints give, each shown under its name. Saying nothing earns
    nothing, though it keeps many a constraint.
    """
    constraints, weights = constraints_of(sample)
    completion = text_of(sample["messages"][-1])
    kept = {
        name: CONSTRAINTS[name](wanted, completion) if completion.strip() else 0.0
        for name, wanted in constraints.items()
    }
    total = sum(weights[name] for name in kept)
    return {
        "aggregate_reward_score": sum(weights[name] * value for name, value in kept.items()) / total,
        "metrics_list": [{"name": name, "value": value, "type": "Reward"} for name, value in kept.items()],
    }


def constraints_of(sample: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """The row's constraints, and the weight of each: 1 unless its `weights` say otherwise."""
    metadata = sample.get("metadata") or {}
    places = (metadata.get("constraints"), metadata.get("reference_answer"), sample.get("reference_answer"))
    found = next((place for place in places if place is not None), None)
    if isinstance(found, dict) and found.keys() == {"text"}:
        found = found["text"]
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            raise CannotGrade("the row's constraints are a text that is no JSON") from None
    if not isinstance(found, dict) or not found.keys() - {"weights"}:
        raise CannotGrade("the row has no constraints: an object as `constraints` or `reference_answer`")
    constraints = {name: wanted for name, wanted in found.items() if name != "weights"}
    weights = {**dict.fromkeys(constraints, 1.0), **found.get("weights", {})}
    if unknown := [name for name in weights if name not in CONSTRAINTS]:
        raise CannotGrade(f"there is no constraint {unknown[0]!r}; there are {', '.join(CONSTRAINTS)}")
    if min(weights.values()) <= 0:
        raise CannotGrade("the weights of constraints have to be above 0")
    return constraints, weights


def text_of(message: dict[str, Any]) -> str:
    """A message's content is a text, a list of parts, or nothing at all."""
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    return content


def reason_of(error: Exception) -> str:
    """For the log. Others' messages may quote the sample, so they are told by their type and our line."""
    if isinstance(error, CannotGrade | CannotCheck):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == __file__]
    return f"{type(error).__name__} in handler.py, line {lines[-1]}"
