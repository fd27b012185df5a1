"""Held-out proof: the same questions to two models through Chat Completions, and whether the gain is real.

The criterion: at least 10 points more exact answers, and a one-sided sign test below 1 % on the questions
that only one of the two models answers exactly. An answer is exact if the task's own grader gives it a
reward of 1.
"""

import importlib.util
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI
from rich.console import Console
from rich.table import Table

MIN_GAIN = 0.10
MAX_CHANCE = 0.01
AT_ONCE = 16


@dataclass(frozen=True)
class Exam:
    questions: list[str]
    answers: dict[str, list[str]]
    """By "base" and "tuned"."""
    rewards: dict[str, list[float]]

    def accuracy(self, who: str) -> float:
        return sum(map(is_exact, self.rewards[who])) / len(self.questions)

    @property
    def gain(self) -> float:
        return self.accuracy("tuned") - self.accuracy("base")

    @property
    def chance(self) -> float:
        """How likely so many wins are if base and tuned were equally good (one-sided sign test)."""
        pairs = [
            (is_exact(base), is_exact(tuned))
            for base, tuned in zip(self.rewards["base"], self.rewards["tuned"], strict=True)
        ]
        wins, losses = pairs.count((False, True)), pairs.count((True, False))
        decided = wins + losses
        return sum(math.comb(decided, k) for k in range(wins, decided + 1)) / 2**decided

    @property
    def is_real(self) -> bool:
        return self.gain >= MIN_GAIN and self.chance < MAX_CHANCE

    def show(self, console: Console, samples: int = 3) -> None:
        table = Table(title=f"{len(self.questions)} held-out questions")
        for column in ("", "base", "tuned"):
            table.add_column(column)
        table.add_row("exact answers", *(f"{self.accuracy(who):.1%}" for who in ("base", "tuned")))
        table.add_row("mean reward", *(f"{_mean(self.rewards[who]):.3f}" for who in ("base", "tuned")))
        for index in range(min(samples, len(self.questions))):
            table.add_row(self.questions[index], self.answers["base"][index], self.answers["tuned"][index])
        console.print(table, markup=False)
        verdict = "real" if self.is_real else "NOT real"
        console.print(
            f"Held-out gain {self.gain:+.1%}: {verdict} "
            f"(criterion: +{MIN_GAIN:.0%} or more and sign test p < {MAX_CHANCE}; here p = {self.chance:.2g})"
        )

    def figures(self) -> dict[str, Any]:
        return {
            "held_out_questions": len(self.questions),
            "base_accuracy": self.accuracy("base"),
            "tuned_accuracy": self.accuracy("tuned"),
            "base_mean_reward": _mean(self.rewards["base"]),
            "tuned_mean_reward": _mean(self.rewards["tuned"]),
            "sign_test_p": self.chance,
            "gain_is_real": self.is_real,
        }


def examine(
    client: OpenAI, base: str, tuned: str, rows: list[dict[str, Any]], grader: Path, max_tokens: int
) -> Exam:
    """Ask both models every row's messages greedily and score the answers with the task's grader."""
    handler = grader_handler(grader)
    answers = {
        "base": ask(client, base, rows, max_tokens),
        "tuned": ask(client, tuned, rows, max_tokens),
    }
    rewards = {who: score(handler, rows, texts) for who, texts in answers.items()}
    return Exam([row["messages"][-1]["content"] for row in rows], answers, rewards)


def ask(client: OpenAI, model: str, rows: list[dict[str, Any]], max_tokens: int) -> list[str]:
    """What the model answers to every row's messages, greedily."""

    def one(row: dict[str, Any]) -> str:
        reply = client.chat.completions.create(
            model=model, messages=row["messages"], temperature=0, max_completion_tokens=max_tokens
        )
        return reply.choices[0].message.content or ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, rows))


def score(handler: Callable[..., Any], rows: list[dict[str, Any]], texts: list[str]) -> list[float]:
    event = [
        {
            "id": str(index),
            "messages": [*row["messages"], {"role": "assistant", "content": text}],
            "metadata": {"reference_answer": row["reference_answer"]},
        }
        for index, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]
    scores = {answer["id"]: float(answer["aggregate_reward_score"]) for answer in handler(event, None)}
    return [scores[str(index)] for index in range(len(rows))]


def grader_handler(path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location("demo_grader", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


def is_exact(reward: float) -> bool:
    return reward > 0.999


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
