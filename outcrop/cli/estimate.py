"""`outcrop estimate`: what a job will take and cost, before it starts. Asks nobody but this machine."""

import json
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.cli import cdk_json, estimate_words, grader_inputs
from outcrop.cli.grader_inputs import WrongArgument
from outcrop.cli.grader_trial import Row
from outcrop.operations.bad_request import explain
from outcrop.operations.estimate import estimate
from outcrop.types.grader import Grader
from outcrop.types.method import ReinforcementHyperparameters

_GRADER: TypeAdapter[Grader] = TypeAdapter(Grader)
_TEMPLATE_TOKENS = 8
"""That a chat template puts around a message, about."""
_CHARACTERS_PER_TOKEN = 4


def run(
    file: Annotated[Path, typer.Argument(help="Training rows: a JSONL file.")],
    model: Annotated[str, typer.Option(help="The base model to train.")],
    validation: Annotated[Path | None, typer.Option(help="Validation rows: a JSONL file.")] = None,
    grader: Annotated[Path | None, typer.Option(help="A .json file with the grader's definition.")] = None,
    epochs: Annotated[int | None, typer.Option(help="n_epochs of the job.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Prompts a step.")] = None,
    num_generations: Annotated[int | None, typer.Option(help="Completions of a prompt.")] = None,
    max_completion_length: Annotated[int | None, typer.Option(help="Of a completion, in tokens.")] = None,
    eval_samples: Annotated[int | None, typer.Option(help="Completions drawn of a validation row.")] = None,
    completion_tokens: Annotated[
        int | None, typer.Option(min=1, help="Mean length of completions, if you know it.")
    ] = None,
    instance_type: Annotated[
        list[str] | None, typer.Option(help="A SageMaker instance type; the model's own if not given.")
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="MODEL=INPUT/OUTPUT: dollars a judge costs per million tokens.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the estimate as JSON.")] = False,
) -> None:
    """Tokens, steps, hours and dollars of a job on FILE, for each instance type that fits the model."""
    hyperparameters = {
        "n_epochs": epochs,
        "batch_size": batch_size,
        "num_generations": num_generations,
        "max_completion_length": max_completion_length,
        "eval_samples": eval_samples,
    }
    try:
        entry = _model(model)
        rows = grader_inputs.training_rows(grader_inputs.read_file(file, "FILE"), str(file))
        tokens, counted = _count(rows, entry)
        found = estimate(
            entry,
            _hyperparameters(hyperparameters),
            rows=len(rows),
            prompt_tokens=tokens,
            validation_rows=len(_rows(validation)) if validation else 0,
            grader=_grader(grader) if grader else None,
            instance_types=_instance_types(instance_type or []),
            completion_length=completion_tokens,
            judge_prices=grader_inputs.prices(tuple(price or ())),
        )
    except WrongArgument as error:
        typer.echo(f"outcrop: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        counted_rows = {"rows": len(rows), "prompt_tokens": tokens, "counted": counted}
        typer.echo(json.dumps(counted_rows | asdict(found), default=lambda numbers: numbers.model_dump()))
    else:
        typer.echo(estimate_words.told(found, entry, len(rows), tokens, counted))


def _model(model: str) -> BaseModel:
    try:
        models = cdk_json.models()
    except ValueError as error:
        raise WrongArgument(str(error)) from error
    entry = base_models.find(model, models)
    if entry is None:
        known = ", ".join(one.id for one in models)
        raise WrongArgument(f"--model: '{model}' is not a model that can be fine-tuned. Known: {known}.")
    return entry


def _rows(path: Path) -> list[Row]:
    return grader_inputs.training_rows(grader_inputs.read_file(path, "--validation"), str(path))


def _hyperparameters(given: dict[str, int | None]) -> ReinforcementHyperparameters:
    named = {name: value for name, value in given.items() if value is not None}
    try:
        return ReinforcementHyperparameters.model_validate(named)
    except ValidationError as error:
        raise WrongArgument(explain(error, named).message) from error


def _grader(path: Path) -> Grader:
    definition = grader_inputs.json_object(path, "--grader")
    try:
        return _GRADER.validate_python(definition)
    except ValidationError as error:
        raise WrongArgument(explain(error, {"--grader": definition}, below="--grader").message) from error


def _instance_types(given: list[str]) -> list[str]:
    for one in given:
        if not one.startswith("ml."):
            raise WrongArgument(f"--instance-type: '{one}' is no SageMaker type such as ml.p5.4xlarge.")
    return given


def _count(rows: list[Row], model: BaseModel) -> tuple[int, str]:
    """Tokens of all prompts, and how they were counted."""
    texts = [_texts(row) for row in rows]
    encode = _tokenizer(model)
    if encode is None:
        tokens = sum(ceil(len(text) / _CHARACTERS_PER_TOKEN) for row in texts for text in row)
        how = f"characters / {_CHARACTERS_PER_TOKEN}, as no tokenizer of {model.id} is on this machine"
    else:
        tokens = sum(encode(text) for row in texts for text in row)
        how = f"by the tokenizer of {model.id}"
    return tokens + _TEMPLATE_TOKENS * sum(map(len, texts)), how


def _texts(row: Row) -> list[str]:
    """What the policy reads of a row: its messages, and the tools it may call."""
    texts = [_text(message) for message in row["messages"]]
    return [*texts, json.dumps(row["tools"])] if row.get("tools") else texts


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content or message.get("tool_calls") or "")


def _tokenizer(model: BaseModel) -> Any:
    """What counts the tokens of a text; None if the weights are not in the cache of `outcrop local`, or there
    is nothing to read their tokenizer."""
    try:
        from tokenizers import Tokenizer

        from local.cache import weights
    except ImportError:
        return None
    path = weights(model.id) / "tokenizer.json"
    if not path.exists():
        return None
    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
