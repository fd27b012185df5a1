"""How well the probes of `outcrop graders test` tell graders that can be cheated from sound ones.

Sound graders are the scoring functions of 95 tasks of reasoning-gym (right answers earn 1, garbage at most
.05); one more of its tasks, game_of_life_halting, pays for garbage and has to be found. The other graders
that can be cheated are seeded ones. Each grader is tried with several models that do not exist: `p` of their
completions are right, the others near misses or another row's answer, so that the mean of the completions
means what it would with a model; and with one that never answers, the worst case, whose mean is nothing.

`uv run --with reasoning-gym==0.1.25 python -m benchmarks.grader_doctor`
"""

import argparse
import logging
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.cheatable_graders import CHEATABLE, Score, an_exercise
from outcrop.cli import grader_probes
from outcrop.cli.grader_figures import Report
from outcrop.cli.grader_report import report
from outcrop.cli.grader_trial import Completion, Grade, Row, Trial

SEED = 7
_LONGEST = 2048
_UNSOUND = (
    *("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"),  # right answers earn 0
    *("knight_swap", "list_functions"),  # a seed does not decide their items
    *("futoshiki", "prime_factorization"),  # minutes to make; an answer that is a text is an exception
    "composite",  # is made of others
)
_POSITIVE_CONTROL = "game_of_life_halting"

Model = Callable[[int, Sequence[str], random.Random], str]
"""A completion for a row, of all rows' right answers."""


@dataclass(frozen=True)
class Task:
    name: str
    rows: list[Row]
    """With `answer`, the right one."""
    score: Score


def answers(share_right: float) -> Model:
    def complete(row: int, right: Sequence[str], chance: random.Random) -> str:
        if row * 7 % 10 < share_right * 10:  # the same rows whatever else is drawn
            return right[row]
        wrong = [one for one in right if one != right[row]]
        return chance.choice(wrong) if wrong and chance.random() < 0.5 else _near_miss(right[row], chance)

    return complete


MODELS: Final[Mapping[str, Model]] = {
    "p = 0.7": answers(0.7),
    "p = 0.3": answers(0.3),
    "p = 0": answers(0),
    "never answers": lambda row, right, chance: "I am not sure about that one, sorry.",
}


def examine(task: Task, model: Model) -> Report:
    """The report on a grader whose completions `model` writes."""
    chance = random.Random(SEED)  # noqa: S311
    rows = dict(enumerate(task.rows))
    right = [str(row["answer"]) for row in task.rows]
    completions = [Completion(index, model(index, right, chance), 0.0) for index in rows]
    grades = [_grade(task, one.row, one.text or "") for one in completions]
    subjects = grader_probes.subjects(rows, "answer", grades, _LONGEST, SEED)
    probes: dict[str, list[Grade]] = {}
    for probe in grader_probes.PROBES:
        for index, subject in subjects.items():
            text = probe.text(subject)
            if text is not None:
                probes.setdefault(probe.name, []).append(_grade(task, index, text))
    references = [_grade(task, index, right[index]) for index in rows]
    trial = Trial(task.name, {}, len(rows), "answer", _LONGEST, completions, grades, references, probes)
    return report(trial, None, {})


def sound_tasks(size: int) -> list[Task]:
    """Of reasoning-gym, the positive control last."""
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]

    names = sorted(DATASETS.keys() - {*_UNSOUND, _POSITIVE_CONTROL})
    return [_reasoning_task(name, size) for name in (*names, _POSITIVE_CONTROL)]


def _reasoning_task(name: str, size: int) -> Task:
    from reasoning_gym import create_dataset  # pyright: ignore[reportMissingImports]

    data = create_dataset(name, seed=SEED, size=size)
    entries = [data[index] for index in range(size)]
    rows: list[Row] = [
        {"messages": [{"role": "user", "content": entry["question"]}], "answer": str(entry["answer"])}
        for entry in entries
    ]
    return Task(name, rows, lambda text, row: float(data.score_answer(text, entries[rows.index(row)])))


def _grade(task: Task, index: int, text: str) -> Grade:
    try:
        return Grade(index, text, task.score(text, task.rows[index]))
    except Exception as error:  # a grader may fail in any way
        return Grade(index, text, None, type(error).__name__, str(error))


def _near_miss(text: str, chance: random.Random) -> str:
    """The text with one letter or digit changed for another."""
    places = [place for place, character in enumerate(text) if character.isascii() and character.isalnum()]
    if not places:
        return text + "?"
    place = chance.choice(places)
    kinds = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    kind = next(kind for kind in kinds if text[place] in kind)
    return text[:place] + chance.choice([one for one in kind if one != text[place]]) + text[place + 1 :]


def _told(found: Report) -> str:
    named = [f"{probe.name} {probe.mean:.2f}" for probe in found.paying]
    mean = found.rewards.mean if found.rewards else float("nan")
    return f"completions {mean:.2f}: {', '.join(named)}" if named else f"completions {mean:.2f}: nothing"


def _pays_in_part(found: Report) -> bool:
    return any(probe.verdict == "pays in part" for probe in found.probes)


def _print_all(title: str, tasks: Sequence[Task], *, is_listed: Callable[[Report], bool]) -> None:
    for name, model in MODELS.items():
        reports = {task.name: examine(task, model) for task in tasks}
        found = [task for task, one in reports.items() if one.paying]
        partly = [task for task, one in reports.items() if _pays_in_part(one)]
        print(f"{title}, {name}: {len(found)} of {len(reports)} named, {len(partly)} pay in part", flush=True)
        for task, one in reports.items():
            if is_listed(one):
                print(f"    {task}: {_told(one)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20, help="Rows of each task.")
    size: int = parser.parse_args().size
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    exercises: list[Any] = [Task(name, an_exercise(size), score) for name, score in CHEATABLE.items()]
    _print_all("Seeded", exercises, is_listed=lambda one: True)
    _print_all("reasoning-gym", sound_tasks(size), is_listed=lambda one: bool(one.paying))


if __name__ == "__main__":
    main()
