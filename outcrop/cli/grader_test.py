"""`outcrop graders test`: the model sampled for real, its completions graded, the grader tempted.

It is a client of the API like any other and works against a laptop and a deployment alike.
"""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.cli import grader_display, grader_inputs, grader_probes, grader_report
from outcrop.cli.grader_client import GraderClient
from outcrop.cli.grader_inputs import WrongArgument
from outcrop.cli.grader_trial import Completion, Grade, Row, Trial

_DEFAULT_MAX_TOKENS = 2048


@dataclass(frozen=True)
class Asked:
    """The command's arguments."""

    file: str
    grader: str
    model: str
    rows: int
    samples: int
    temperature: float
    max_tokens: int | None
    response_format: Path | None
    prices: tuple[str, ...]
    seed: int
    concurrency: int


def run(asked: Asked, *, as_json: bool) -> None:
    """Print the report and exit with its status, or with 2 and one line about what is wrong."""
    console = Console(stderr=True, highlight=False)
    try:
        prices = grader_inputs.prices(asked.prices)
        trial = asyncio.run(_try(asked, console))
    except WrongArgument as error:
        typer.echo(f"outcrop: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(130) from None
    report = grader_report.report(trial, base_model(trial.model), prices)
    for model in prices.keys() - (report.cost.judge_tokens if report.cost else {}):
        typer.echo(f"outcrop: --price: this grader asked no judge called '{model}'.", err=True)
    if as_json:
        typer.echo(grader_display.as_json(trial, report))
    else:
        grader_display.show(Console(highlight=False), trial, report)
    raise typer.Exit(report.exit_status)


def base_model(model: str) -> BaseModel | None:
    """The catalogue's entry of a base model, or of the one that a tuned model (`ft:BASE:...`) was made of."""
    return base_models.find(model.split(":")[1] if model.startswith("ft:") else model)


async def _try(asked: Asked, console: Console) -> Trial:
    """Raises: WrongArgument."""
    client = GraderClient(asked.concurrency)
    try:
        return await _measure(client, asked, console)
    finally:
        await client.close()


async def _measure(client: GraderClient, asked: Asked, console: Console) -> Trial:
    definition = grader_inputs.grader_definition(asked.grader, client.host)
    entry = base_model(asked.model)
    max_tokens = asked.max_tokens or (entry.max_completion_length if entry else _DEFAULT_MAX_TOKENS)
    request = _request(asked, max_tokens)
    rows = await _rows(client, asked.file)
    await client.find_model(asked.model)
    grader = await client.check(definition)

    drawn = random.Random(asked.seed).sample(range(len(rows)), min(asked.rows, len(rows)))  # noqa: S311
    sampled = {index: rows[index] for index in drawn}
    with grader_display.progress(console) as phase:
        advance = phase("Sampling", len(sampled))
        groups = await client.all(
            sampled, lambda index: client.sample(index, sampled[index], request), advance
        )
        completions = [one for group in groups for one in group]
        said = [one for one in completions if one.text is not None]

        async def grade(one: Completion) -> Grade:
            return await client.grade(grader, one.row, rows[one.row], one.text or "", one.tool_calls)

        async def grade_text(text: tuple[int, str]) -> Grade:
            return await client.grade(grader, text[0], rows[text[0]], text[1])

        grades = await client.all(said, grade, phase("Grading", len(said)))

        column = grader_probes.reference_column(rows, grader)
        longest = max_tokens * grader_probes.CHARACTERS_PER_TOKEN
        subjects = grader_probes.subjects(sampled, column, grades, longest, asked.seed)
        tempted = _tempting(subjects)
        tempting = await client.all([text for _, text in tempted], grade_text, phase("Probing", len(tempted)))
    by_probe: dict[str | None, list[Grade]] = {}
    for (name, _), one in zip(tempted, tempting, strict=True):
        by_probe.setdefault(name, []).append(one)
    references = by_probe.pop(None, [])
    return Trial(
        model=asked.model,
        grader=grader,
        rows_in_file=len(rows),
        reference_column=column,
        max_completion_tokens=max_tokens,
        completions=completions,
        grades=grades,
        references=references,
        probes={name: found for name, found in by_probe.items() if name is not None},
    )


def _request(asked: Asked, max_tokens: int) -> dict[str, Any]:
    """What every row is asked with: as a job samples, but for the number of completions."""
    request: dict[str, Any] = {
        "model": asked.model,
        "temperature": asked.temperature,
        "max_completion_tokens": max_tokens,
        "n": asked.samples,
    }
    if asked.response_format is not None:
        request["response_format"] = grader_inputs.json_object(asked.response_format, "--response-format")
    return request


async def _rows(client: GraderClient, file: str) -> list[Row]:
    if file.startswith("file-") and not Path(file).exists():
        return grader_inputs.training_rows(await client.file(file), file)
    return grader_inputs.training_rows(grader_inputs.read_file(Path(file), "FILE"), file)


def _tempting(
    subjects: dict[int, grader_probes.Subject],
) -> list[tuple[str | None, tuple[int, str]]]:
    """Each probe's name with each row it is for and its text; under None the rows' own reference answers."""
    tempting: list[tuple[str | None, tuple[int, str]]] = [
        (None, (index, subject.own_answer))
        for index, subject in subjects.items()
        if subject.own_answer is not None
    ]
    for probe in grader_probes.PROBES:
        for index, subject in subjects.items():
            text = probe.text(subject)
            if text is not None:
                tempting.append((probe.name, (index, text)))
    return tempting
