"""`outcrop keys`: make, import, list and revoke API keys.

They are rows of the deployment's table, which your AWS credentials open; `--state DIR` means the table of the
`outcrop local` that runs on DIR. OUTCROP_TABLE, where it is set, names the table outright.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from outcrop.cli import deployment
from outcrop.cli.deployment import Profile, Region, State, refusal
from outcrop.errors import APIError
from outcrop.ids import now
from outcrop.stores import deployed
from outcrop.stores.keys import KeyStore
from outcrop.stores.refusals import DeploymentError, in_words
from outcrop.types.api_key import ADMIN_PROJECT, ApiKey, Scope

Answer = TypeVar("Answer")

_DAY = 86_400

app = typer.Typer(no_args_is_help=True, help="Make, import, list and revoke API keys.")

Project = Annotated[str, typer.Option(help="Keys open one project; projects see nothing of each other.")]
Name = Annotated[str, typer.Option(help="What or who will use the key.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="read, write or inference. Repeatable; all three without it."),
]
Days = Annotated[int | None, typer.Option(min=1, max=3650, help="The key stops working after that.")]
Admin = Annotated[bool, typer.Option("--admin", help="Admin keys: they manage the keys of all projects.")]


@app.command()
def create(
    project: Project = "default",
    name: Name = "",
    scope: Scopes = None,
    expires_in_days: Days = None,
    admin: Admin = False,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """Make a key and print it: it cannot be shown again."""
    store = _store(project, admin, profile, region, state)
    typer.echo(_told(lambda: store.create(name, scopes=_scopes(scope), expires_at=_expiry(expires_in_days))))


@app.command("import")
def import_key(
    project: Project = "default",
    name: Name = "",
    scope: Scopes = None,
    expires_in_days: Days = None,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """Let a key in that you hand out already. It is read from standard input, so that it is in no shell
    history: `outcrop keys import < key.txt`.
    """
    if sys.stdin.isatty():
        typer.echo("The key, then Enter:", err=True)
    key = sys.stdin.readline().rstrip("\r\n")
    store = _store(project, False, profile, region, state)
    known = _told(lambda: store.adopt(key, name, scopes=_scopes(scope), expires_at=_expiry(expires_in_days)))
    typer.echo(f"Imported as {known.id}.")


@app.command("list")
def list_keys(
    project: Project = "default",
    admin: Admin = False,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """The keys of a project, newest first."""
    store = _store(project, admin, profile, region, state)
    lines = [("ID", "KEY", "NAME", "SCOPES", "MADE (UTC)", "EXPIRES", "LAST USED")]
    lines += [
        (
            key.id,
            f"...{key.last4}",
            key.name or "-",
            " ".join(key.scopes),
            _date(key.created_at),
            _expires(key),
            _date(key.last_used_at) if key.last_used_at else "never",
        )
        for key in _told(lambda: _every(store))
    ]
    if len(lines) == 1:
        typer.echo("There are no keys.", err=True)
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="From `outcrop keys list`.")],
    project: Project = "default",
    admin: Admin = False,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """Make a key worthless. API Gateway remembers a key's answer for up to a minute."""
    store = _store(project, admin, profile, region, state)
    _told(lambda: store.revoke(key_id))
    typer.echo(f"Revoked {key_id}.")


def _store(
    project: str, admin: bool, profile: str | None, region: str | None, state: Path | None
) -> KeyStore:
    if project == ADMIN_PROJECT:
        raise typer.BadParameter("'admin' is reserved; --admin means the admin keys.", param_hint="--project")
    if state is None and os.environ.get("OUTCROP_TABLE"):
        deployed.sign_in(profile, region)
    else:
        deployment.enter(profile, region, state)
    return _told(lambda: KeyStore(ADMIN_PROJECT if admin else project))


def _told(call: Callable[[], Answer]) -> Answer:
    """What `call` answers; what it refuses is told as every wrong argument is, what AWS refuses in words."""
    try:
        with in_words():
            return call()
    except DeploymentError as error:
        raise refusal(error) from error
    except APIError as error:
        raise typer.BadParameter(error.message) from error


def _scopes(named: list[str] | None) -> list[Scope]:
    """As they were typed: the store refuses what is none."""
    return cast(list[Scope], named or [])


def _expiry(days: int | None) -> int | None:
    return None if days is None else now() + days * _DAY


def _every(store: KeyStore) -> list[ApiKey]:
    keys: list[ApiKey] = []
    more = True
    while more:
        page = store.list(after=keys[-1].id if keys else None)
        keys += page.data
        more = page.has_more
    return keys


def _expires(key: ApiKey) -> str:
    if key.expires_at is None:
        return "never"
    return "expired" if key.is_expired(now()) else _date(key.expires_at)


def _date(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
