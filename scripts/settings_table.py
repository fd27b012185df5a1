"""Write docs/settings.md: every setting of a deployment, from the fields of `Deployment` and what they say.

`python -m scripts.settings_table`
"""

import ast
import inspect
import json
import typing
from dataclasses import MISSING, Field, fields
from pathlib import Path

from stacks.deployment import Deployment

PAGE = Path(__file__).resolve().parents[1] / "docs/settings.md"
_INTRODUCTION = """\
# Settings

What `cdk deploy` makes is set in the `context` of [`cdk.json`](../cdk.json), or for one command by
`-c name=value`, where a list is joined by commas and an object is JSON. Every setting has a default: an empty
context deploys. A wrong value, or a setting that there is not, ends `cdk synth` with a line that names it.
This table is made from [`stacks/deployment.py`](../stacks/deployment.py) by
`python -m scripts.settings_table`.

| setting | type | default | |
|---|---|---|---|
"""


def page() -> str:
    docstrings = _docstrings()
    rows = (
        f"| `{one.name}` | {_type(one)} | {_default(one)} | {_cell(docstrings[one.name])} |"
        for one in sorted(fields(Deployment), key=lambda one: one.name)
    )
    return _INTRODUCTION + "\n".join(rows) + "\n"


def _docstrings() -> dict[str, str]:
    """The string below each field."""
    (definition,) = ast.parse(inspect.getsource(Deployment)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _type(field: "Field[object]") -> str:
    """As cdk.json has it."""
    type_ = typing.get_type_hints(Deployment)[field.name]
    simple = {bool: "true or false", int: "whole number", float: "number", str: "string"}
    if type_ in simple:
        return simple[type_]
    if typing.get_origin(type_) is tuple:
        return "list"
    if typing.get_origin(type_) is typing.Literal:
        return " or ".join(f"`{one}`" for one in typing.get_args(type_))
    return "object"


def _default(field: "Field[object]") -> str:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return (
        f"`{json.dumps(default, default=lambda model: model.id)}`"
        if default or isinstance(default, bool | int)
        else ""
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
