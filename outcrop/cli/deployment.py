"""How every command says which deployment it means: `--profile`, `--region`, or `--state` for a local one."""

from pathlib import Path
from typing import Annotated

import typer

from outcrop.stores import deployed
from outcrop.stores.deployed import Deployed
from outcrop.stores.refusals import DeploymentError

Profile = Annotated[str | None, typer.Option(help="The AWS profile; your default one if not given.")]
Region = Annotated[
    str | None, typer.Option(help="The Region Outcrop is deployed in; your default one if not given.")
]
State = Annotated[Path | None, typer.Option(help="The folder of a running `outcrop local`, instead of AWS.")]


def sign_in(profile: str | None, region: str | None, state: Path | None) -> None:
    """Turn this process to the account; an exit if there is no `outcrop local` that runs on `state`."""
    if state is None:
        deployed.sign_in(profile, region)
        return
    from outcrop.cli.local import enter_account

    enter_account(state)


def enter(profile: str | None, region: str | None, state: Path | None) -> Deployed:
    """Turn this process to the deployment; an exit with one line that says why it cannot be found."""
    sign_in(profile, region, state)
    try:
        return deployed.enter()
    except DeploymentError as error:
        raise refusal(error) from error


def refusal(error: DeploymentError) -> typer.Exit:
    typer.echo(f"outcrop: {error}", err=True)
    return typer.Exit(2)
