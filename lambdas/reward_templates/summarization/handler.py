"""Rewards summaries of conversations with many turns, as a judge model sees them.

What is judged how is in prompt.txt, what a row looks like in README.md.
"""

from pathlib import Path
from typing import Any

from judge import Case, Entry, as_text, grade_batch, turns

PROMPT = Path(__file__).with_name("prompt.txt").read_text()
WEIGHTS = {"faithfulness": 0.45, "coverage": 0.35, "conciseness": 0.1, "clarity": 0.1}


def case_of(entry: Entry) -> Case:
    conversation, summary = turns(entry)
    return Case(PROMPT, {"conversation": as_text(conversation)}, summary, WEIGHTS)


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    return grade_batch(event, context, case_of)
