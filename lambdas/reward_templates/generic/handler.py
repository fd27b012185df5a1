"""The boilerplate of a reward function: copy it, replace the parts in `PARTS`, deploy it.

Contract: batch, as Amazon Bedrock speaks it. The event is a list of at most 64 samples:

    [{"id": "8f…", "messages": [{"role": "user", "content": "…"}, …, {"role": "assistant", "content": "…"}],
      "reference_answer": {"text": "…"}, "metadata": {"reference_answer": "…", …}}]

The completion is the last message; it may be empty, None, or a list of parts. `reference_answer` is there
if the training row has one, twice: at top level, where a text is wrapped as `{"text": …}`, and in `metadata`
as the row has it, beside every other field of the row. `id` is one completion's alone.

The answer is a list in any order; ids decide which reward is whose:

    [{"id": "8f…", "aggregate_reward_score": 0.9,
      "metrics_list": [{"name": "correct", "value": 1.0, "type": "Reward"}]}]

`aggregate_reward_score` is the reward: a finite number within ±10⁹, best from 0 to 1. `metrics_list` is shown
beside it and not learned from. An id that is missing or doubled, or whose reward is NaN, a text or a
boolean, costs that sample alone: it is left out of training and counted, and never taken for 0. An
exception costs the whole call, which is then tried again in halves, until only its cause fails.
"""

import logging
import os
import traceback
from collections.abc import Callable
from typing import Any

MAX_WORDS = int(os.environ.get("MAX_WORDS", "200"))

logger = logging.getLogger(__name__)


class CannotGrade(Exception):
    """Why a sample gets no reward. The message is logged, so it quotes nothing of the sample."""


def is_correct(completion: str, reference: str) -> float:
    """The last line, but for case and spaces, is the reference."""
    lines = completion.strip().splitlines()
    return float(bool(lines) and words(lines[-1]) == words(reference))


def is_concise(completion: str, reference: str) -> float:
    """1 up to MAX_WORDS, less beyond. Only of what is correct: else saying nothing would be a good start."""
    return is_correct(completion, reference) * min(1.0, MAX_WORDS / max(1, len(completion.split())))


PARTS: dict[str, tuple[float, Callable[[str, str], float]]] = {
    "correct": (0.9, is_correct),
    "concise": (0.1, is_concise),
}
"""Name, weight and function of each part of the reward. A part is a number from 0 to 1."""


def grade(sample: dict[str, Any]) -> dict[str, Any]:
    """The weighted mean of the parts, each of which is shown under its name."""
    completion, reference = text_of(sample["messages"][-1]), reference_of(sample)
    values = {name: part(completion, reference) for name, (_, part) in PARTS.items()}
    total = sum(weight for weight, _ in PARTS.values())
    return {
        "aggregate_reward_score": sum(PARTS[name][0] * value for name, value in values.items()) / total,
        "metrics_list": [{"name": name, "value": value, "type": "Reward"} for name, value in values.items()],
    }


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


def reference_of(sample: dict[str, Any]) -> str:
    """The row's `reference_answer`, from either place."""
    metadata = sample.get("metadata") or {}
    found = metadata.get("reference_answer", sample.get("reference_answer"))
    if isinstance(found, dict):
        found = found.get("text")
    if not isinstance(found, str) or not found.strip():
        raise CannotGrade("the row has no reference_answer that is a text")
    return found


def text_of(message: dict[str, Any]) -> str:
    """A message's content is a text, a list of parts, or nothing at all."""
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    return content


def words(text: str) -> list[str]:
    return text.casefold().split()


def reason_of(error: Exception) -> str:
    """For the log. Others' messages may quote the sample, so they are told by their type and our line."""
    if isinstance(error, CannotGrade):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == __file__]
    return f"{type(error).__name__} in handler.py, line {lines[-1]}"
