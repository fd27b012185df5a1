"""Graders that pay for what is no right answer, one for each way people have been seen to write one."""

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from outcrop.cli.grader_trial import Row

Score = Callable[[str, Row], float]


def an_exercise(size: int) -> list[Row]:
    """Sums in words: `answer` is the right one."""
    chance = random.Random(3)  # noqa: S311
    pairs = [(chance.randint(100, 999), chance.randint(100, 999)) for _ in range(size)]
    return [
        {
            "messages": [{"role": "user", "content": f"What is {a} plus {b}? Answer with the number only."}],
            "answer": str(a + b),
        }
        for a, b in pairs
    ]


def _prompt(row: Row) -> str:
    return row["messages"][-1]["content"]


def _default_where_it_fails(default: float) -> Score:
    """What AWS's sample of a judge does when it cannot read an answer."""

    def score(text: str, row: Row) -> float:
        try:
            return float(int(text) == int(row["answer"]))
        except ValueError:
            return default

    return score


def _exit_status(text: str, row: Row) -> float:
    """Runs the completion as code, as a test would be, and takes a clean exit for success."""
    code = re.sub(r"^```(python)?\n|\n```$", "", text)
    try:
        exec(compile(code, "completion", "exec"), {})  # noqa: S102 - the probes' texts and numbers
    except SystemExit as end:
        return float(not end.code)
    except BaseException:
        return 0.0
    return float(text.strip() == row["answer"])


def _overlap(text: str, words: str) -> float:
    wanted = set(words.lower().split())
    return len(wanted & set(text.lower().split())) / len(wanted)


CHEATABLE: Final[Mapping[str, Score]] = {
    "always 1": lambda text, row: 1.0,
    "always 0.5": lambda text, row: 0.5,
    "length": lambda text, row: min(1.0, len(text) / 1000),
    "part of it for length": lambda text, row: (
        0.7 * (text == row["answer"]) + 0.3 * min(1.0, len(text) / 2000)
    ),
    "many different words": lambda text, row: min(1.0, len(set(text.split())) / 8),
    "brevity": lambda text, row: max(0.0, 1 - len(text) / 100),
    "contains the answer": lambda text, row: float(row["answer"] in text),
    "contains the answer's digits": lambda text, row: float(set(row["answer"]) <= set(text)),
    "contained in the answer": lambda text, row: float(text.strip() in row["answer"]),
    "words of the prompt": lambda text, row: _overlap(text, _prompt(row)),
    "some words of the prompt": lambda text, row: min(1.0, 3 * _overlap(text, _prompt(row))),
    "a keyword": lambda text, row: float("step by step" in text.lower()),
    "any number": lambda text, row: float(bool(re.fullmatch(r"\s*\d+\s*", text))),
    "a number anywhere": lambda text, row: float(bool(re.search(r"\d", text))),
    "not a known wrong answer": lambda text, row: float(text.strip() not in ("0", "1")),
    "no refusal": lambda text, row: float("sorry" not in text.lower() and "not sure" not in text.lower()),
    "1 where it fails": _default_where_it_fails(1.0),
    "0.5 where it fails": _default_where_it_fails(0.5),
    "a judge that obeys": lambda text, row: float(text == row["answer"] or "full marks" in text),
    "exit status": _exit_status,
}
