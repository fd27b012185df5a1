"""`outcrop models`: the base weights in the deployment's bucket, and fetching those that are not there."""

import time
from typing import Annotated

import typer

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.cli import cdk_json, deployment
from outcrop.cli.deployment import Profile, Region, State, refusal
from outcrop.operations import weights
from outcrop.operations.weights import Weights
from outcrop.stores.refusals import DeploymentError, in_words

_POLL_SECONDS = 5.0
_WORDS = {
    "complete": "complete",
    "syncing": "on its way",
    "failed": "failed",
    "absent": "-",
}

app = typer.Typer(no_args_is_help=True, help="Base weights in the deployment's bucket.")


@app.command()
def sync(
    model: Annotated[str, typer.Argument(help="Its id, like openai.gpt-oss-20b, or Hugging Face's name.")],
    wait: Annotated[bool, typer.Option("--wait", help="Stay until they are there, or failed.")] = False,
    profile: Profile = None,
    region: Region = None,
    state: State = None,
) -> None:
    """Have the weights of a model brought into the bucket. A model whose weights are there stays as it is."""
    entry = _in_catalogue(model)
    deployed = deployment.enter(profile, region, state)
    try:
        deployed.output("OutcropWeights", "StateMachineArn")
        with in_words():
            found = weights.ensure(entry)
            typer.echo(found.explanation)
            while wait and found.state == "syncing":
                time.sleep(_POLL_SECONDS)
                found = weights.status(entry)
                if found.state != "syncing":
                    typer.echo(found.explanation)
    except DeploymentError as error:
        raise refusal(error) from error
    if found.state not in ("complete", "syncing"):
        raise typer.Exit(1)


@app.command("list")
def list_models(profile: Profile = None, region: Region = None, state: State = None) -> None:
    """The models of the catalogue and the deployment's own: what of them is in the bucket."""
    deployed = deployment.enter(profile, region, state)
    try:
        deployed.output("OutcropWeights", "StateMachineArn")
        with in_words():
            lines = [("MODEL", "WEIGHTS", "SIZE", "REVISION", "LICENSE"), *map(_line, _looked_up())]
    except DeploymentError as error:
        raise refusal(error) from error
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _looked_up() -> list[Weights]:
    return [weights.status(model) for model in base_models.known() if model.repository]


def _line(found: Weights) -> tuple[str, ...]:
    model = found.model
    size = f"{found.bytes / 10**9:.1f} GB" if found.bytes else "-"
    return model.id, _WORDS[found.state], size, (model.revision or "")[:12], model.license


def _in_catalogue(name: str) -> BaseModel:
    try:
        models = cdk_json.models()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="MODEL") from error
    known = ", ".join(model.id for model in models if model.repository)
    model = base_models.find(name, models)
    if model is None:
        raise typer.BadParameter(f"There is no model '{name}'. There are: {known}.", param_hint="MODEL")
    if not model.repository:
        raise typer.BadParameter(
            f"{model.id} has no repository that its weights could come from. There are: {known}.",
            param_hint="MODEL",
        )
    return model
