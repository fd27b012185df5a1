"""`outcrop fsck`: whether rows, objects, executions and training jobs agree; repairs what is safe."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from outcrop.cli import deployment
from outcrop.cli.deployment import Profile, Region, State, refusal
from outcrop.stores.refusals import DeploymentError, in_words

if TYPE_CHECKING:
    from outcrop.operations.reconcile.finding import Finding
    from outcrop.operations.reconcile.whole import Repaired


def run(
    repair: Annotated[bool, typer.Option("--repair", help="Make agree what can safely be made to.")] = False,
    project: Annotated[
        list[str] | None, typer.Option(help="Only this project's rows and objects. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """See whether rows, objects, executions and training jobs agree.

    Exit status: 0 if all agree, or do now; 1 if something does not; 2 if there is no deployment to look at.
    """
    from outcrop.operations.reconcile import whole

    deployment.enter(profile, region, state)
    try:
        with in_words():
            every = whole.projects()
            found = [*whole.findings(every, only=project)]
    except DeploymentError as error:
        raise refusal(error) from error
    done = [whole.repaired(one) if repair and one.repair else None for one in found]
    lasting = sum(one is None or one.error is not None for one in done)
    pairs = list(zip(found, done, strict=True))
    if as_json:
        typer.echo(json.dumps([_plain(*pair) for pair in pairs], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for pair in pairs:
            _show(console, *pair)
        _sum_up(console, found, lasting, len(every))
    raise typer.Exit(1 if lasting else 0)


def _plain(finding: "Finding", done: "Repaired | None") -> dict[str, object]:
    return {
        "about": finding.about,
        "says": finding.says,
        "can_be_repaired": finding.repair is not None,
        "repaired": done is not None and done.error is None,
        "error": str(done.error) if done and done.error else None,
    }


def _show(console: Console, finding: "Finding", done: "Repaired | None") -> None:
    console.print(finding.about, style="bold", markup=False)
    console.print(f"  {finding.says}", markup=False)
    if done is None and finding.repair:
        console.print(f"  --repair: {finding.mends}", style="cyan", markup=False)
    elif done and done.error:
        console.print(f"  Not repaired: {done.error}", style="red", markup=False)
    elif done:
        console.print(f"  Repaired: {finding.mends}", style="green", markup=False)


def _sum_up(console: Console, found: "list[Finding]", lasting: int, projects: int) -> None:
    looked = f"{projects} project{'' if projects == 1 else 's'}"
    if not found:
        console.print(f"Everything agrees ({looked}).", style="green")
        return
    repaired = len(found) - lasting
    console.print(f"{len(found)} found in {looked}, {repaired} repaired.", style="bold")
