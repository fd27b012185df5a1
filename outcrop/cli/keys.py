"""`outcrop keys`: make, list and revoke API keys.

In a deployed stack OUTCROP_TABLE names the table and your AWS credentials open it; `--state DIR` means the
table of the `outcrop local` that runs on DIR.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from outcrop.cli.local import enter_account
from outcrop.errors import APIError
from outcrop.stores.keys import KeyStore

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

Project = Annotated[str, typer.Option(help="Keys open one project; projects see nothing of each other.")]
State = Annotated[Path | None, typer.Option(help="The folder of a running `outcrop local`.")]


@app.command()
def create(
    project: Project = "default",
    name: Annotated[str, typer.Option(help="What or who will use the key.")] = "",
    state: State = None,
) -> None:
    """Make a key and print it: it cannot be shown again."""
    typer.echo(_store(project, state).create(name))


@app.command("list")
def list_keys(project: Project = "default", state: State = None) -> None:
    """The keys of a project, newest first: id, last characters, when and for what it was made."""
    for key in _store(project, state).list():
        made = time.strftime("%Y-%m-%d %H:%M", time.gmtime(key.created_at))
        typer.echo(f"{key.id}  ...{key.last4}  {made} UTC  {key.name}".rstrip())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="From `outcrop keys list`.")],
    project: Project = "default",
    state: State = None,
) -> None:
    """Make a key worthless. API Gateway remembers a key's answer for up to a minute."""
    try:
        _store(project, state).revoke(key_id)
    except APIError as error:
        raise typer.BadParameter(error.message, param_hint="KEY_ID") from error
    typer.echo(f"Revoked {key_id}.")


def _store(project: str, state: Path | None) -> KeyStore:
    if state is not None:
        enter_account(state)
    elif not os.environ.get("OUTCROP_TABLE"):
        raise typer.BadParameter("Set OUTCROP_TABLE to the stack's table, or give --state.")
    try:
        return KeyStore(project)
    except APIError as error:
        raise typer.BadParameter(error.message, param_hint="--project") from error
