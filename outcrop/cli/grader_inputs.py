"""The arguments of `outcrop graders test`, read and checked: a grader, its rows, prices."""

import ast
import re
from pathlib import Path
from typing import Any

import orjson

from outcrop import dataset
from outcrop.cli.grader_trial import Row

_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9-_]{1,64}")
_PRICE = re.compile(r"(?P<model>.+)=(?P<prompt>\d+(\.\d+)?)/(?P<completion>\d+(\.\d+)?)")


class WrongArgument(Exception):
    """What is wrong with an argument, or with the environment, and what would be right. One line."""


def grader_definition(argument: str, host: str) -> dict[str, Any]:
    """The definition that `--grader` means, for the API at `host`. Raises: WrongArgument."""
    if argument.startswith("arn:"):
        return _function(argument)
    if argument.endswith(".json"):
        definition = json_object(Path(argument), "--grader")
        if not isinstance(definition.get("type"), str):
            raise WrongArgument(f"--grader: {argument} has no 'type', which says what kind of grader it is.")
        return definition
    if argument.endswith(".py"):
        return _python(Path(argument))
    if not _FUNCTION_NAME.fullmatch(argument):
        raise WrongArgument(
            f"--grader: '{argument}' is neither a .json file, nor a .py file, nor a Lambda function."
        )
    if host not in _LOCAL_HOSTS:
        raise WrongArgument(
            f"--grader: '{argument}' names a function of local mode; of the API at {host}, give the "
            "function's ARN."
        )
    from local.emulated_account import function_arn

    return _function(function_arn(argument))


def training_rows(content: bytes, name: str) -> list[Row]:
    """Raises: WrongArgument, which names the first bad lines."""
    try:
        return list(dataset.read(content.splitlines(keepends=True)))
    except dataset.DatasetError as error:
        raise WrongArgument(f"{name}: {error.message}") from error


def read_file(path: Path, option: str) -> bytes:
    """Raises: WrongArgument."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise WrongArgument(f"{option}: {path}: {reason}.") from error


def json_object(path: Path, option: str) -> dict[str, Any]:
    """Raises: WrongArgument."""
    try:
        value = orjson.loads(read_file(path, option))
    except orjson.JSONDecodeError as error:
        raise WrongArgument(
            f"{option}: {path} is not JSON ({error.msg} at line {error.lineno}, column {error.colno})."
        ) from error
    if not isinstance(value, dict):
        raise WrongArgument(f"{option}: {path} does not hold a JSON object.")
    return value


def prices(given: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Dollars per million prompt and completion tokens, by judge model. Raises: WrongArgument."""
    found: dict[str, tuple[float, float]] = {}
    for one in given:
        price = _PRICE.fullmatch(one)
        if price is None:
            raise WrongArgument(f"--price: '{one}' is not MODEL=INPUT/OUTPUT, such as judge=0.15/0.60.")
        found[price["model"]] = float(price["prompt"]), float(price["completion"])
    return found


def _function(arn: str) -> dict[str, Any]:
    return {"type": "lambda", "lambda": {"function": arn}}


def _python(path: Path) -> dict[str, Any]:
    """A file of the sandbox's kind, with `grade`. A Lambda handler needs its own environment and permissions,
    so it is tried where it is deployed."""
    content = read_file(path, "--grader")
    try:
        tree = ast.parse(content, path.name)
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise WrongArgument(
            f"--grader: {path} is not Python: {getattr(error, 'msg', error)}{line}."
        ) from error
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "grade" in functions:
        return {"type": "python", "name": path.stem, "source": content.decode()}
    handler = next((name for name in ("lambda_handler", "handler") if name in functions), None)
    if handler is None:
        raise WrongArgument(f"--grader: {path} has neither grade(sample, item) nor lambda_handler.")
    suffix = "" if handler == "lambda_handler" else f":{handler}"
    raise WrongArgument(
        f"--grader: {path} is a Lambda function. Register it, `outcrop local --grader NAME={path}{suffix}`, "
        "and give --grader NAME; or deploy it, and give its ARN."
    )
