"""Rewards reasoning, its steps as well as its result, as a judge model sees it.

A row may name its `domain` and have a `reference_answer`, a text or an object: then the judge need not trust
itself with the result. What is judged how is in prompt.txt, what a row looks like in README.md.
"""

import json
from pathlib import Path
from typing import Any

from judge import Case, Entry, as_text, field_of, grade_batch, turns

PROMPT = Path(__file__).with_name("prompt.txt").read_text()
WEIGHTS = {"correctness": 0.4, "logic": 0.4, "domain": 0.1, "clarity": 0.1}


def case_of(entry: Entry) -> Case:
    conversation, completion = turns(entry)
    about = {"conversation": as_text(conversation)}
    for name in ("domain", "reference_answer"):
        value = field_of(entry, name)
        if value is not None:
            about[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Case(PROMPT, about, completion, WEIGHTS)


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    return grade_batch(event, context, case_of)
