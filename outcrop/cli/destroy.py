"""`outcrop destroy`: takes a deployment away, with all it has left in the account."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from outcrop.cli import deployment
from outcrop.cli.deployment import Profile, Region, refusal
from outcrop.stores import deployed
from outcrop.stores.refusals import DeploymentError, in_words

_SHOWN = 5


def run(
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Leave the table and the bucket, in the stack OutcropStorage.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    profile: Profile = None,
    region: Region = None,
) -> None:
    """Take the deployment away: what runs, what serves, the stacks, and the data unless --keep-data.

    Shows first what goes and what stays. Cut short, it can be run again. Exit status: 0 if all is gone, 1 if
    it was not confirmed, 2 if something cannot go.
    """
    from outcrop.operations.destroy import whole
    from outcrop.operations.destroy.kind import Watch

    deployment.sign_in(profile, region, None)
    console = Console(highlight=False, soft_wrap=True)
    try:
        with in_words():
            found = deployed.find()
            plan = whole.plan(found, keep_data=keep_data)
            standing = whole.standing(plan)
        name = f"{found.account}/{found.region}"
        if not standing:
            console.print(f"There is nothing of Outcrop in {name} that would go.")
            return
        _show(console, name, standing, plan.stays)
        if not yes and typer.prompt(f"Type {name} to delete this for good") != name:
            console.print("Nothing was deleted.")
            raise typer.Exit(1)
        with in_words():
            say = partial(console.print, markup=False)
            whole.destroy(plan, Watch(time.monotonic, time.sleep, say))
    except DeploymentError as error:
        raise refusal(error) from error
    console.print(f"Everything is gone from {name}, but for what stays.", style="green")


def _show(console: Console, name: str, standing: Mapping[str, Sequence[str]], stays: Sequence[str]) -> None:
    console.print(f"From {name} goes:", style="bold")
    for kind, names in standing.items():
        more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        console.print(f"  {kind}: {', '.join(names[:_SHOWN])}{more}", markup=False)
    console.print("What stays:", style="bold")
    for one in stays:
        console.print(f"  {one}", markup=False)
