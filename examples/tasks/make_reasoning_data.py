"""Write the tasks that come out of reasoning-gym (Apache-2.0), at its easiest settings and in short prompts:

`uv run --with reasoning-gym==0.1.25 python examples/tasks/make_reasoning_data.py`

Each split has a seed of its own and no question of another split. Graders score as reasoning-gym does, which
this script checks. Running it again changes nothing.
"""

import importlib.util
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import reasoning_gym  # pyright: ignore[reportMissingImports]

HERE = Path(__file__).parent
SIZES = {"training": (60, 1), "validation": (16, 2), "held_out": (48, 3)}
"""Rows and reasoning-gym's seed."""

Item = dict[str, Any]


@dataclass(frozen=True)
class Task:
    name: str
    settings: dict[str, int]
    system: str
    example: tuple[str, str]
    question: Callable[[Item], str]


TASKS = (
    Task(
        "chain_sum",
        {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
        "Reply with the number only.",
        ("2 + 2 =", "4"),
        lambda item: f"{item['metadata']['expression']} =",
    ),
    Task(
        "spell_backward",
        {"min_word_len": 3, "max_word_len": 3},
        "Spell the word backward.",
        ("sun", "nus"),
        lambda item: item["metadata"]["word"],
    ),
    Task(
        "word_sequence_reversal",
        {"min_words": 2, "max_words": 2},
        "Reverse the list of words. Reply with the new list only.",
        ("small, box", "box, small"),
        lambda item: ", ".join(item["metadata"]["words"]),
    ),
    Task(
        "word_sorting",
        {"min_words": 2, "max_words": 2, "min_word_length": 3, "max_word_length": 5},
        "Sort the words in the order asked for. Reply with the list only.",
        ("ascending order: tree, house", "house, tree"),
        lambda item: (
            f"{item['metadata']['direction']} order: {', '.join(item['metadata']['transformed_words'])}"
        ),
    ),
)


def main() -> None:
    for task in TASKS:
        (HERE / task.name).mkdir(exist_ok=True)
        asked = {task.example[0]}
        for split, (size, seed) in SIZES.items():
            items = _items(task, 20 * size, seed)
            fresh: dict[str, Item] = {}
            for item in items:
                question = task.question(item)
                if question not in asked and len(fresh) < size:
                    fresh[question] = row(task, question, item["answer"])
            assert len(fresh) == size, (task.name, split, len(fresh))
            asked |= fresh.keys()
            lines = "".join(json.dumps(one) + "\n" for one in fresh.values())
            (HERE / task.name / f"{split}.jsonl").write_text(lines)
        check_grader(task, _items(task, 100, 4))


def _items(task: Task, size: int, seed: int) -> Any:
    return reasoning_gym.create_dataset(task.name, size=size, seed=seed, **task.settings)


def row(task: Task, question: str, answer: str) -> Item:
    said = zip(("system", "user", "assistant", "user"), (task.system, *task.example, question), strict=True)
    messages = [{"role": role, "content": content} for role, content in said]
    return {"messages": messages, "reference_answer": answer}


def check_grader(task: Task, items: Any) -> None:
    """Raises: AssertionError if the task's grader and reasoning-gym differ on an answer, right or wrong."""
    spec = importlib.util.spec_from_file_location(task.name, HERE / task.name / "grader.py")
    assert spec and spec.loader
    grader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grader)
    chance = random.Random(7)  # noqa: S311 - answers, not secrets
    for item in items:
        right, other = item["answer"], chance.choice(list(items))["answer"]
        shuffled = "".join(chance.sample(right, len(right)))
        swapped = ", ".join(right.split(", ")[::-1])
        for answer in (right, other, shuffled, swapped, f"The answer is {right}.", right.upper(), "no", ""):
            theirs = items.score_answer(answer=answer.strip(), entry=item)
            ours = grader.score(answer, right)
            assert abs(theirs - ours) < 1e-9, (task.name, answer, right, theirs, ours)


if __name__ == "__main__":
    main()
