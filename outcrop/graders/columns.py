"""Whether training rows have what a grader's templates read of them, found out before anything is trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.graders.template import Path, find, variables
from outcrop.types.grader import (
    CustomCodeGrader,
    Grader,
    LabelModelGrader,
    LambdaGrader,
    ModelAsJudgeGrader,
    MultiGrader,
    PythonGrader,
    ScoreModelGrader,
    StringCheckGrader,
    TextSimilarityGrader,
)

_NAMED_COLUMNS = 20


@dataclass(frozen=True)
class Column:
    """A place in a row that a grader reads."""

    field: str
    """Of the grader's definition, whose template reads it."""
    path: Path

    def missing(self, row: Mapping[str, Any]) -> str | None:
        """What of it a row lacks, in words that go on from "line 12 "; None if it is there."""
        try:
            find(self.path, {"item": row})
        except KeyError as error:
            names = [name[:40] for name in list(row)[:_NAMED_COLUMNS]] + ["..."] * (len(row) > _NAMED_COLUMNS)
            return f"has no '{error.args[0]}', which grader.{self.field} reads; it has {', '.join(names)}"
        return None


def columns(grader: Grader) -> list[Column]:
    """Every column that the grader's templates read. Its templates are valid (`opening.check`)."""
    return [
        Column(field, path)
        for field, template in templates(grader)
        for path in variables(template)
        if path[0] == "item"
    ]


def templates(grader: Grader) -> Iterator[tuple[str, str]]:
    """The texts of a definition that may hold variables, by field."""
    match grader:
        case StringCheckGrader() | TextSimilarityGrader():
            yield "input", grader.input
            yield "reference", grader.reference
        case ScoreModelGrader() | LabelModelGrader():
            for number, message in enumerate(grader.input):
                yield f"input.{number}.content", message.text
        case ModelAsJudgeGrader():
            yield "instructions", grader.instructions
        case MultiGrader():
            for key, part in grader.graders.items():
                for field, template in templates(part):
                    yield f"graders.{key}.{field}", template
        case LambdaGrader() | CustomCodeGrader() | PythonGrader():
            """A program reads what it likes."""
