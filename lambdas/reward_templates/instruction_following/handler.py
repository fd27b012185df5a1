"""Rewards completions that follow the instructions of their conversation, as a judge model sees it.

A row that lists its `instructions` gets a level for each of them; of any other row the judge makes the list.
What is judged how is in prompt.txt, what a row looks like in README.md.
"""

from pathlib import Path
from typing import Any

from judge import Case, Entry, as_text, field_of, grade_batch, turns

PROMPT = Path(__file__).with_name("prompt.txt").read_text()
INSTRUCTIONS_WEIGHT = 0.8  # shared by all instructions of a row
QUALITY_WEIGHT = 0.2
MOST_INSTRUCTIONS = 20


def case_of(entry: Entry) -> Case:
    conversation, completion = turns(entry)
    about = {"conversation": as_text(conversation)}
    listed = field_of(entry, "instructions")
    if listed is None:
        weights = {"instructions": INSTRUCTIONS_WEIGHT, "quality": QUALITY_WEIGHT}
        return Case(PROMPT, about, completion, weights)
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_INSTRUCTIONS:
        raise ValueError(f"instructions has to be a list of 1 to {MOST_INSTRUCTIONS} texts.")
    about["instructions"] = "\n".join(f"{number}. {text}" for number, text in enumerate(listed, 1))
    each = INSTRUCTIONS_WEIGHT / len(listed)
    weights = {f"instruction_{number}": each for number in range(1, len(listed) + 1)}
    return Case(PROMPT, about, completion, {**weights, "quality": QUALITY_WEIGHT})


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    return grade_batch(event, context, case_of)
