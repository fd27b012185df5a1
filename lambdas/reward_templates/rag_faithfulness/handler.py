"""Rewards answers that rest on the passages looked up for them, as a judge model sees it.

The passages are the row's `context` (a text, or a list of passages); a row without one has them in its system
message. What is judged how is in prompt.txt, what a row looks like in README.md.
"""

import json
from pathlib import Path
from typing import Any

from judge import Case, Entry, as_text, field_of, grade_batch, turns

PROMPT = Path(__file__).with_name("prompt.txt").read_text()
WEIGHTS = {"faithfulness": 0.6, "answer": 0.3, "conciseness": 0.1}


def case_of(entry: Entry) -> Case:
    conversation, completion = turns(entry)
    passages = field_of(entry, "context")
    if passages is None:
        passages = "\n\n".join(text for role, text in conversation if role in ("system", "developer"))
        conversation = [turn for turn in conversation if turn[0] not in ("system", "developer")]
    if isinstance(passages, list):
        passages = "\n\n".join(f"[{number}] {_passage(one)}" for number, one in enumerate(passages, 1))
    if not isinstance(passages, str) or not passages.strip():
        raise ValueError("The row has neither a context (a text or a list) nor a system message with one.")
    about = {"context": passages, "conversation": as_text(conversation)}
    return Case(PROMPT, about, completion, WEIGHTS)


def _passage(one: Any) -> str:
    """A passage as a text, or as an object with its title, source, ...: the judge is shown all of it."""
    return one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    return grade_batch(event, context, case_of)
