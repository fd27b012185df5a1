"""`outcrop doctor`: what is wrong with a deployment, or with the account it is to be in, and what helps."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from outcrop.cli.deployment import Profile, Region, sign_in

if TYPE_CHECKING:
    from outcrop.operations.doctor.patient import Finding


def run(
    grader: Annotated[
        list[str] | None,
        typer.Option(help="Name or ARN of a Lambda function: may jobs use it as a grader? Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    profile: Profile = None,
    region: Region = None,
) -> None:
    """Look for what is wrong with the deployment, and say what helps. Changes nothing.

    Exit status: 0 if nothing is wrong, 1 if something is.
    """
    from outcrop.operations.doctor import checks

    sign_in(profile, region, None)
    console = Console(highlight=False, soft_wrap=True)
    made: list[str] = []
    if as_json:
        found = [*checks.diagnose(grader or [], made.append)]
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        with console.status("credentials") as status:

            def on_check(name: str) -> None:
                made.append(name)
                status.update(name)

            found = [*checks.diagnose(grader or [], on_check)]
        for finding in found:
            _show(console, finding)
        _sum_up(console, len(made), len(found))
    raise typer.Exit(1 if found else 0)


def _show(console: Console, finding: "Finding") -> None:
    console.print(f"{finding.check}: ", style="bold red", end="")
    console.print(finding.says, markup=False)
    console.print(f"    {finding.fix}", style="cyan", markup=False)


def _sum_up(console: Console, made: int, found: int) -> None:
    if found:
        console.print(f"{found} found in {made} checks.", style="bold")
    else:
        console.print(f"Nothing is wrong: {made} checks.", style="green")
