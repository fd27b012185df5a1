"""Rewards mathematics: is the completion's final answer equal to the row's `reference_answer`?

Equality is mathematical: 1/2, 0.5 and \\frac{2}{4} are one answer. What counts as the final answer is in
`final_answer.py`, what is equal in `equality.py`, and how to deploy this in README.md. Contract: batch, as
Amazon Bedrock speaks it.
"""

import logging
import os
import traceback
from typing import Any

from equality import CannotCompare, Comparer
from final_answer import after_hashes, boxed, final_answers

FORMAT_WEIGHT = float(os.environ.get("FORMAT_WEIGHT", "0"))
"""Share of the reward that is paid for stating one answer in \\boxed{} or after ####, right or wrong."""
SECONDS_PER_SAMPLE = float(os.environ.get("SECONDS_PER_SAMPLE", "5"))

if not 0 <= FORMAT_WEIGHT < 1:
    raise ValueError("FORMAT_WEIGHT has to be at least 0 and below 1.")

logger = logging.getLogger(__name__)
compare = Comparer(SECONDS_PER_SAMPLE)


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
    """One answer that is equal to the reference earns 1; none, a wrong one, or several different ones 0."""
    reference = reference_of(sample)
    answers, is_marked = final_answers(text_of(sample["messages"][-1]))
    correct = float(len(answers) == 1 and compare(reference, answers[0]))
    well_formed = float(len(answers) == 1 and is_marked)
    return {
        "aggregate_reward_score": (1 - FORMAT_WEIGHT) * correct + FORMAT_WEIGHT * well_formed,
        "metrics_list": [
            {"name": "correct", "value": correct, "type": "Reward"},
            {"name": "format", "value": well_formed, "type": "Reward" if FORMAT_WEIGHT else "Metric"},
            {"name": "answers", "value": len(answers), "type": "Metric"},
        ],
    }


def reference_of(sample: dict[str, Any]) -> str:
    """The row's `reference_answer`, at either place: a number, a text (of which what is boxed or after ####
    is taken), or an object that has one as `text`, `final_answer` or `answer`.
    """
    metadata = sample.get("metadata") or {}
    found = sample.get("reference_answer", metadata.get("reference_answer"))
    if isinstance(found, dict):
        found = next((found[name] for name in ("text", "final_answer", "answer") if name in found), None)
    if isinstance(found, bool) or not isinstance(found, str | int | float) or not str(found).strip():
        raise CannotGrade("the row has no reference_answer that is a number or a text")
    stated = boxed(str(found)) or after_hashes(str(found))
    return stated[-1] if stated else str(found)


def text_of(message: dict[str, Any]) -> str:
    """A message's content is a text, a list of parts, or nothing at all."""
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    return content


def reason_of(error: Exception) -> str:
    """For the log. Others' messages may quote the sample, so they are told by their type and our line."""
    if isinstance(error, CannotGrade | CannotCompare):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == __file__]
    return f"{type(error).__name__} in handler.py, line {lines[-1]}"
