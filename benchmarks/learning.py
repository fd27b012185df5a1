"""What jobs learn: tasks x seeds, base model against tuned model on rows that no job has seen.

Every run is a process of its own that trains a job (`training_run.py`) and asks base and tuned model every
row of `held_out.jsonl`, greedily. Every run, failed ones too, is a line of `--results`; what is there already
is not run again, so an interrupted benchmark goes on. Prints the table of `benchmarks/RESULTS.md`.

`python -m benchmarks.learning --task json_extraction --task date_iso --seed 1 --seed 2 --seed 3`
"""

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import training_run
from benchmarks.training_run import Row, rows
from outcrop.cli.demo import TASKS
from outcrop.cli.demo_exam import is_exact
from outcrop.types.event import FineTuningJobEvent
from training_image.trainer.comparison import compare

RESULTS = Path(__file__).parent / "learning.jsonl"
SPLITS = ("training", "validation", "held_out")
MEASURED = {
    "train": "train_mean_reward",
    "validation": "full_valid_mean_reward",
    "entropy": "actor_entropy",
    "equal_groups": "frac_reward_zero_std",
    "step_seconds": "step_time",
}
"""What a result line has of each step, and where metrics events have it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", help="a folder of --tasks; repeatable; all if not given")
    parser.add_argument("--tasks", type=Path, default=TASKS, help="folder of task folders")
    parser.add_argument("--seed", action="append", type=int, help="of the job; repeatable; 1, 2, 3 if none")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of one JSON line a run")
    parser.add_argument(
        "--set", type=json.loads, default={}, help="hyperparameters that go before those of job.json, as JSON"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of what was run")
    asked = parser.parse_args()
    names = asked.task or sorted(path.parent.name for path in asked.tasks.glob("*/grader.py"))
    if not asked.table:
        left = missing(_lines(asked.results), names, asked.seed or [1, 2, 3], asked.set)
        run(left, asked.tasks, asked.results, asked.set)
    print(table(_lines(asked.results)))


def missing(
    done: Sequence[Row], tasks: Sequence[str], seeds: Sequence[int], hyperparameters: Row
) -> list[tuple[str, int]]:
    """Task and seed of each run that `done` does not hold, every task once before any is run again."""
    held = [(line["task"], line["seed"]) for line in done if line["asked"] == hyperparameters]
    return [(task, seed) for seed in seeds for task in tasks if (task, seed) not in held]


def run(runs: Sequence[tuple[str, int]], tasks: Path, results: Path, asked: Row) -> None:
    """Train and examine each of `runs`, and append what came of it to `results`.

    Processes are forked, so that torch and TRL are imported once, and the code is the same for all.
    """
    from training_image import train  # noqa: F401
    from training_image.trainer import evaluate, grpo, policy, preflight, reporter  # noqa: F401

    for task in {task for task, _ in runs}:
        check_disjoint(tasks / task)
    for task, seed in runs:
        if not missing(_lines(results), [task], [seed], asked):
            continue  # another process has run it meanwhile
        print(f"{task}, seed {seed}", flush=True)
        arguments = (tasks / task, seed, asked, results)
        process = multiprocessing.get_context("fork").Process(target=_one, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{task}, seed {seed}: the process ended with status {process.exitcode}")


def check_disjoint(task: Path) -> None:
    """Raises: AssertionError if two of a task's files share a conversation."""
    asked = {
        split: {json.dumps(row["messages"]) for row in rows(task / f"{split}.jsonl")} for split in SPLITS
    }
    for one, other in (("training", "held_out"), ("validation", "held_out"), ("training", "validation")):
        shared = asked[one] & asked[other]
        assert not shared, f"{task.name}: {one} and {other} share {len(shared)} prompts"


def _one(task: Path, seed: int, asked: Row, results: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, started = Path(folder), time.monotonic()
        events = training_run.train(task, seed, asked, root)
        line = {"task": task.name, "seed": seed, "asked": asked} | told(events)
        line["seconds"] = round(time.monotonic() - started)
        failure = root / "output/failure"
        if failure.exists():
            line["failure"] = failure.read_text()
        else:
            most = training_run.resolved_request(task, asked)["max_completion_length"]
            base = _base(results, task) or training_run.examine(task, None, most)[0]
            tuned, texts = training_run.examine(task, root / "model", most)
            line |= {"base": base, "tuned": tuned, "says": texts[:5]} | examined(base, tuned)
    with results.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(table([line]), flush=True)


def _base(results: Path, task: Path) -> list[float] | None:
    """The base model's rewards, if it has been asked already: they do not depend on the run."""
    return next(
        (line["base"] for line in _lines(results) if line["task"] == task.name and "base" in line), None
    )


def told(events: Sequence[FineTuningJobEvent]) -> Row:
    """What a run's events say of it, step by step."""
    measured = [event.data or {} for event in events]
    return {
        name: {data["step"]: data[key] for data in measured if data.get(key) is not None}
        for name, key in MEASURED.items()
    } | {"warnings": [event.message for event in events if event.level == "warn"]}


def examined(base: Sequence[float], tuned: Sequence[float]) -> Row:
    """Both models' rewards on the same rows, compared: the rewards, and whether they are 1."""
    by_row = [dict(enumerate(rewards)) for rewards in (base, tuned)]
    exact = [{row: float(is_exact(reward)) for row, reward in one.items()} for one in by_row]
    compared, of_exact = compare(*by_row), compare(*exact)
    assert compared and of_exact, "there are held-out rows"
    return {"reward": compared.to_json(), "exact": of_exact.to_json()}


def table(lines: Sequence[Row]) -> str:
    """As Markdown: a row a run, sorted by task and seed. `asked` is what it was asked for beside job.json."""
    columns = (
        "task",
        "seed",
        "asked",
        "steps",
        "mean reward",
        "exact answers",
        "better, worse",
        "p",
        "warned of",
    )
    head = (f"| {' | '.join(columns)} |", "|---" * len(columns) + "|")
    return "\n".join(
        [*head, *map(_row, sorted(lines, key=lambda line: (line["task"], str(line["asked"]), line["seed"])))]
    )


def _row(line: Row) -> str:
    asked = ", ".join(f"{name} {value}" for name, value in line["asked"].items())
    start = f"| {line['task']} | {line['seed']} | {asked} | {len(line['train'])} |"
    if "reward" not in line:
        return f"{start} failed: {line['failure']} | | | | |"
    reward, exact = line["reward"], line["exact"]
    cells = (
        f"{_mean(reward['base'])} -> {_mean(reward['tuned'])}",
        f"{exact['base']['mean']:.0%} -> {_mean(exact['tuned'], '.0%')}",
        f"{reward['better']}, {reward['worse']}",
        f"{reward['sign_test_p']:.1g}",
        "; ".join(dict.fromkeys(map(_in_short, line["warnings"]))),
    )
    return f"{start} {' | '.join(cells)} |"


def _in_short(warning: str) -> str:
    """Its first words, without the numbers."""
    return re.split(r" ?[(:.]", warning, maxsplit=1)[0]


def _mean(estimated: Row, form: str = ".3f") -> str:
    return f"{estimated['mean']:{form}} ({estimated['low']:{form}} to {estimated['high']:{form}})"


def _lines(path: Path) -> list[Row]:
    return rows(path) if path.exists() else []


if __name__ == "__main__":
    main()
