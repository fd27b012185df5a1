"""Base and tuned model on the validation file, row by row: as data, and as a page to read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training_image.trainer import comparison
from training_image.trainer.comparison import Comparison, Estimate

_SHOWN = 5
_LONGEST_CELL = 200
_SAID = ("completion", "reward", "error")


@dataclass(frozen=True)
class Found:
    greedy: Comparison
    drawn: Comparison | None
    """Of completions drawn as in training."""
    by_class: dict[str, tuple[Estimate, Estimate]]
    """Base and tuned, of the likeliest completions."""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"comparison": self.greedy.to_json()}
        if self.drawn:
            found["sampled_comparison"] = self.drawn.to_json()
        found["by_class"] = {
            name: {"base": base.mean, "tuned": tuned.mean, "rows": tuned.rows}
            for name, (base, tuned) in self.by_class.items()
        }
        return found


def rows(
    base: Sequence[Mapping[str, Any]], tuned: Sequence[Mapping[str, Any]], classes: Mapping[int, str]
) -> list[dict[str, Any]]:
    """What both said on each row, from the lines of two evaluations: the likeliest completion, and the mean
    reward of those that were drawn."""
    sampled = [_drawn(lines) for lines in (base, tuned)]
    likeliest = [{line["index"]: line for line in lines if _is_greedy(line)} for lines in (base, tuned)]
    return [
        {
            "index": index,
            "class": classes.get(index),
            "prompt": line["prompt"],
            **{
                who: {**{name: said[index][name] for name in _SAID}, "sampled_reward_mean": drawn.get(index)}
                for who, said, drawn in zip(("base", "tuned"), likeliest, sampled, strict=True)
            },
        }
        for index, line in likeliest[0].items()
        if index in likeliest[1]
    ]


def compare(rows: Sequence[Mapping[str, Any]]) -> Found | None:
    """None if no row has a reward from both."""
    base, tuned = (_rewards(rows, who, "reward") for who in ("base", "tuned"))
    greedy = comparison.compare(base, tuned)
    if greedy is None:
        return None
    drawn = comparison.compare(*(_rewards(rows, who, "sampled_reward_mean") for who in ("base", "tuned")))
    classes = {row["index"]: row["class"] for row in rows if row["class"] is not None}
    before, after = comparison.by_class(base, classes), comparison.by_class(tuned, classes)
    return Found(greedy, drawn, {name: (before[name], after[name]) for name in after if name in before})


def page(rows: Sequence[Mapping[str, Any]], found: Found, *, step: int) -> str:
    """Markdown: the figures, by class, and the rows that changed most, for the better and for the worse."""
    greedy, drawn = found.greedy, found.drawn
    parts = [
        f"# Base model and tuned model (step {step}) on the validation file",
        f"{greedy.better} rows got better, {greedy.worse} worse, {greedy.equal} neither: "
        + ("more" if greedy.is_real else "**not** more")
        + f" than chance would show (sign test p = {greedy.chance:.2g}). Intervals are of 95 %.",
        _table(
            ["mean reward of", "base", "tuned", "rows"],
            [
                ["the likeliest completion", greedy.base, greedy.tuned, greedy.tuned.rows],
                *(
                    [["completions drawn as in training", drawn.base, drawn.tuned, drawn.tuned.rows]]
                    if drawn
                    else []
                ),
            ],
        ),
    ]
    if found.by_class:
        classes = [[name, base, tuned, tuned.rows] for name, (base, tuned) in found.by_class.items()]
        parts += ["## By class", _table(["class", "base", "tuned", "rows"], classes)]
    for title, some in (
        ("Rows that got worse", sorted((row for row in rows if _gain(row) < 0), key=_gain)),
        ("Rows that got better", sorted((row for row in rows if _gain(row) > 0), key=_gain, reverse=True)),
    ):
        if some:
            parts += [
                f"## {title}: at most {_SHOWN}",
                _table(_HEADINGS, [_shown(row) for row in some[:_SHOWN]]),
            ]
    return "\n\n".join([*parts, "Every row, whole, is in held_out.jsonl.\n"])


_HEADINGS = ["row", "asked", "base model", "reward", "tuned model", "reward"]


def _shown(row: Mapping[str, Any]) -> list[Any]:
    asked = row["prompt"][-1].get("content") or ""
    said = [
        cell for who in ("base", "tuned") for cell in (row[who]["completion"], f"{row[who]['reward']:.3g}")
    ]
    return [row["index"] + 1, asked, *said]


def _table(headings: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    shown = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in shown)


def _cell(value: Any) -> str:
    """On one line, and nothing in it that Markdown would take for the table's or for HTML."""
    text = " ".join(str(value).split())
    text = text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}..."
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _gain(row: Mapping[str, Any]) -> float:
    base, tuned = row["base"]["reward"], row["tuned"]["reward"]
    return 0.0 if base is None or tuned is None else tuned - base


def _rewards(rows: Sequence[Mapping[str, Any]], who: str, name: str) -> dict[int, float]:
    return {row["index"]: row[who][name] for row in rows if row[who][name] is not None}


def _is_greedy(line: Mapping[str, Any]) -> bool:
    return not line.get("temperature")


def _drawn(lines: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    return comparison.by_row((line["index"], line["reward"]) for line in lines if not _is_greedy(line))
