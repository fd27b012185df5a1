"""The setting `graders`: which folders are deployed as Lambda functions that grade.

An object by the function's name: a folder, or `{"folder": ..., "judge": ..., "environment": {...},
"timeout_seconds": ..., "memory_mb": ...}`. A folder is as `outcrop graders new` makes it; a relative one is
looked for beside cdk.json.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcrop.graders.lambda_function import OWN_STACKS
from outcrop.types.judge import is_bedrock_id
from stacks.bundle import ROOT

_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z]\w+", re.ASCII)
_HANDLERS = ("lambda_handler", "handler")


@dataclass(frozen=True)
class GraderSetting:
    folder: Path
    handler: str
    """Of handler.py: the function that Lambda calls."""
    judge: str | None = None
    """Id of the Bedrock model it may ask, which it finds in JUDGE_MODEL."""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: int = 300
    memory_mb: int = 1024
    """Lambda gives processors by memory, too: 1769 MB come with a whole one."""


def parse(settings: Any) -> dict[str, GraderSetting]:
    """Raises: ValueError, in one line that names the grader at fault."""
    if not isinstance(settings, dict):
        raise ValueError(f'graders must be like {{"my-grader": "graders/my-grader"}}, not {settings!r}.')
    graders = {name: _grader(name, setting) for name, setting in settings.items()}
    outputs: dict[str, str] = {}
    for name in graders:
        other = outputs.setdefault(re.sub(r"[-_]", "", name), name)
        if other != name:
            raise ValueError(f"graders: '{other}' and '{name}' differ in nothing but '-' and '_'.")
    return graders


def _grader(name: str, setting: Any) -> GraderSetting:
    place = f"graders.{name}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place}: a function's name is 1 to 64 letters, digits, '-' and '_'.")
    if name.startswith(tuple(f"{stack}-" for stack in OWN_STACKS)):
        raise ValueError(f"{place}: functions called so are Outcrop's own, which no job may have as graders.")
    fields = {"folder": setting} if isinstance(setting, str) else setting
    known = {"folder", "judge", "environment", "timeout_seconds", "memory_mb"}
    if not isinstance(fields, dict) or "folder" not in fields or fields.keys() - known:
        wanted = f"a folder, or an object with 'folder' and none but {', '.join(sorted(known))}"
        raise ValueError(f"{place} must be {wanted}, not {setting!r}.")
    folder = _folder(place, fields["folder"])
    return GraderSetting(
        folder=folder,
        handler=_handler(place, folder),
        judge=_judge(place, fields.get("judge")),
        environment=_environment(place, fields.get("environment", {})),
        timeout_seconds=_whole_number(place, fields, "timeout_seconds", 1, 900),
        memory_mb=_whole_number(place, fields, "memory_mb", 128, 10_240),
    )


def _folder(place: str, value: Any) -> Path:
    folder = ROOT / str(value)
    if not isinstance(value, str) or not folder.is_dir():
        raise ValueError(f"{place}: there is no folder {folder}.")
    return folder


def _handler(place: str, folder: Path) -> str:
    """The function's name, as far as it can be told without running the file."""
    path = folder / "handler.py"
    if not path.is_file():
        raise ValueError(f"{place}: {folder} has no handler.py.")
    try:
        body = ast.parse(path.read_text()).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{place}: {path} is not Python: {error}.") from error
    names = {name for statement in body for name in _bound(statement)}
    found = next((name for name in _HANDLERS if name in names), None)
    if found is None:
        raise ValueError(f"{place}: {path} has no function {' or '.join(_HANDLERS)}.")
    return found


def _bound(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.ImportFrom(names=names) | ast.Import(names=names):
            return [one.asname or one.name for one in names]
    return []


def _judge(place: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not is_bedrock_id(value)):
        example = "openai.gpt-oss-120b-1:0"
        raise ValueError(f"{place}: judge must be the id of a Bedrock model like '{example}', not {value!r}.")
    return value


def _environment(place: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        _VARIABLE.fullmatch(name) and isinstance(text, str) for name, text in value.items()
    ):
        raise ValueError(f'{place}: environment must be like {{"FORMAT_WEIGHT": "0.1"}}, not {value!r}.')
    return value


def _whole_number(place: str, fields: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = fields.get(name, getattr(GraderSetting, name))
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{place}: {name} must be a whole number from {least} to {most}, not {value!r}.")
    return value
