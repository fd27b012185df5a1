"""`outcrop graders`: try a reward function before a GPU is paid for."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Try a reward function before a GPU is paid for.")


@app.command()
def new(
    template: Annotated[str, typer.Option(help="One of the seven; an unknown name lists them.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to; ./TEMPLATE if not given.")
    ] = None,
) -> None:
    """Copy a reward template into a folder of your own: a complete Lambda handler, with an example."""
    from outcrop.cli import grader_new

    grader_new.run(template, folder or Path(template))


@app.command()
def test(
    file: Annotated[str, typer.Argument(help="Training rows: a JSONL file, or the id of an uploaded one.")],
    grader: Annotated[
        str,
        typer.Option(
            help="A .json file with a grader's definition, a .py file with grade(sample, item), "
            "the ARN of a Lambda function, or in local mode its name."
        ),
    ],
    model: Annotated[str, typer.Option(help="The model whose completions are graded.")],
    rows: Annotated[
        int, typer.Option("-n", "--rows", min=1, max=1000, help="Rows drawn from the file.")
    ] = 20,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Completions per row.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="1.0, as in training.")] = 1.0,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Longest completion, in tokens; a job's default for the model if not given."
        ),
    ] = None,
    response_format: Annotated[
        Path | None, typer.Option(help="A .json file with the response_format of the job.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            help="MODEL=INPUT/OUTPUT: what a judge costs per million tokens. Repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the rows; the same seed draws the same.")] = 7,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Sample the model on rows of FILE, grade what it says, and try to cheat the grader.

    Talks to OPENAI_BASE_URL with OPENAI_API_KEY. Exit status: 0 if nothing is wrong, 1 if the grader fails on
    more than half of the completions or a probe cheats it, 2 for a wrong argument.
    """
    from outcrop.cli import grader_test

    grader_test.run(
        grader_test.Asked(
            file=file,
            grader=grader,
            model=model,
            rows=rows,
            samples=samples,
            temperature=temperature,
            max_tokens=max_tokens,
            response_format=response_format,
            prices=tuple(price or ()),
            seed=seed,
            concurrency=concurrency,
        ),
        as_json=as_json,
    )
