"""`outcrop local`: the whole loop on loopback, until Ctrl-C or SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import typer

if TYPE_CHECKING:
    from local.judges import Judges
    from local.stack import LocalStack

DEFAULT_MODEL = "smollm2-135m-instruct"


def run(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8787,
    state: Annotated[Path, typer.Option(help="Folder that keeps files, jobs, models and keys.")] = Path(
        ".outcrop/state"
    ),
    grader: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=PATH.py[:FUNCTION]: registers a grader as the Lambda function NAME. Repeatable."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Base model to offer. Repeatable.", show_default=DEFAULT_MODEL)
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=MODEL or NAME=URL#MODEL: the model that graders mean by NAME, one of this loop or of "
            "an OpenAI-compatible server, whose key is in OUTCROP_JUDGE_API_KEY. Repeatable."
        ),
    ] = None,
) -> None:
    """Start the whole loop on this machine and stay."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stack = start(state, port, grader or [], model or [DEFAULT_MODEL], judge or [])
    try:
        if not stopped.is_set():
            typer.echo(f"OPENAI_BASE_URL={stack.base_url}")
            typer.echo(f"OPENAI_API_KEY={stack.api_key}")
            typer.echo(f"OPENAI_ADMIN_KEY={stack.admin_key}")
            typer.echo(f"AWS_ENDPOINT_URL={stack.endpoint_url}")
            typer.echo(f"Ready. State is kept in {state}. Ctrl-C stops it.", err=True)
        while not stopped.wait(1):
            pass
    finally:
        typer.echo("Stopping.", err=True)
        stack.stop()


def start(
    state: Path, port: int, graders: list[str], models: list[str], judges: Sequence[str] = ()
) -> "LocalStack":
    """A started stack, or an exit with status 2 and one line that says what is wrong."""
    _convert_default_model(models)
    from local.errors import LocalError
    from local.stack import LocalStack

    try:
        stack = LocalStack(
            state=state, port=port, graders=_graders(graders), models=models, judges=_judges(judges)
        )
        stack.start()
    except LocalError as error:
        typer.echo(f"outcrop: {error}", err=True)
        raise typer.Exit(2) from None
    return stack


def _convert_default_model(models: list[str]) -> None:
    """The default model comes out of a Python package; the first start converts it, in about 20 s."""
    from local.cache import REPOSITORY, weights

    folder = weights(DEFAULT_MODEL)
    if DEFAULT_MODEL in models and not folder.exists():
        typer.echo(f"Converting {DEFAULT_MODEL} into {folder} (once) ...", err=True)
        command = [sys.executable, "-m", "training_image.base_weights", DEFAULT_MODEL, str(folder)]
        subprocess.run(command, check=True, cwd=REPOSITORY)  # noqa: S603 - our own module


def enter_account(state: Path) -> None:
    """Turn this process to the emulated account of the `outcrop local` that runs on `state`."""
    from local.emulated_account import environment
    from outcrop.stores import deployed

    try:
        running = json.loads((state / "local.json").read_bytes())
        httpx.get(running["endpoint_url"])
    except (FileNotFoundError, httpx.TransportError) as error:
        raise typer.BadParameter(f"No `outcrop local` runs on {state}.", param_hint="--state") from error
    names = {f"OUTCROP_{name.upper()}": running[name] for name in ("table", "bucket")}
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(environment(running["endpoint_url"]))
    deployed.adopt(names)  # what has been read before was of no account


def _graders(asked: list[str]) -> dict[str, tuple[Path, str | None]]:
    """`NAME=PATH.py[:FUNCTION]` as {name: (path, function)}."""
    graders: dict[str, tuple[Path, str | None]] = {}
    for one in asked:
        name, equals, target = one.partition("=")
        path, _, function = target.partition(":")
        if not (name and equals and path.endswith(".py")):
            raise typer.BadParameter(f"'{one}' is not NAME=PATH.py[:FUNCTION].", param_hint="--grader")
        graders[name] = (Path(path), function or None)
    return graders


def _judges(asked: Sequence[str]) -> "Judges":
    """`NAME=MODEL` or `NAME=URL#MODEL`, by name."""
    from local.judges import Judges

    targets: dict[str, str] = {}
    for one in asked:
        name, _, target = one.partition("=")
        if not (name and target):
            raise typer.BadParameter(f"'{one}' is not NAME=MODEL or NAME=URL#MODEL.", param_hint="--judge")
        targets[name] = target
    return Judges(targets, os.environ.get("OUTCROP_JUDGE_API_KEY", ""))
