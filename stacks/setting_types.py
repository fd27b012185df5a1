"""How a setting is read from the CDK context: a function for each type of value.

Each takes the context's node and the setting's name, and what the setting is without a value. In cdk.json a
value has its JSON type; on the command line (`-c spot=true`) every value is a string, in which lists are
joined by commas and objects are JSON. Null and an empty string are as if nothing was set. A wrong value is a
ValueError that names the setting and says what would be right.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from constructs import Node

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_BESIDES_OURS = {"acknowledged-issue-numbers"}
"""Which `cdk acknowledge` writes; other names that are not ours have a ':' or an '@'."""
_ARN = re.compile(r"arn:[\w-]+:(?P<service>[\w-]+):[\w-]*:(\d{12}|aws)?:(?P<resource>[^\s*]+)")


def check_names(node: Node, known: Collection[str]) -> None:
    """Raises: ValueError for a setting that there is not: it would be ignored otherwise."""
    for name in sorted(node.get_all_context()):
        if name not in known and name not in _BESIDES_OURS and not re.search("[:@]", name):
            raise ValueError(f"there is no setting '{name}'. There are: {', '.join(sorted(known))}.")


def value(node: Node, name: str) -> Any:
    """The value as it is; None if there is none."""
    found = node.try_get_context(name)
    return None if found == "" else found


def text(node: Node, name: str, *, like: str = "", pattern: str = "") -> str:
    """`like` is an example of what `pattern` takes."""
    found = value(node, name)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{name} must be a string, not {found!r}.")
    found = (found or "").strip()
    if found and pattern and not re.fullmatch(pattern, found):
        raise ValueError(f"{name} must be like '{like}', not '{found}'.")
    return found


def arn(node: Node, name: str, *, service: str, resource: str, like: str) -> str:
    """The ARN of a `resource` (a pattern) of that service."""
    found = text(node, name)
    parts = _ARN.fullmatch(found)
    if found and not (parts and parts["service"] == service and re.fullmatch(resource, parts["resource"])):
        raise ValueError(f"{name} must be an ARN like '{like}', not '{found}'.")
    return found


def whole_number(node: Node, name: str, least: int, most: int, default: int) -> int:
    found = value(node, name)
    if found is None:
        return default
    try:
        number = int(found)
    except (TypeError, ValueError):
        number = least - 1
    if isinstance(found, bool | float) or not least <= number <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {found!r}.")
    return number


def number(node: Node, name: str, least: float, default: float) -> float:
    found = value(node, name)
    if found is None:
        return default
    try:
        amount = float(found)
    except (TypeError, ValueError):
        amount = least - 1
    if isinstance(found, bool) or not least <= amount < float("inf"):
        raise ValueError(f"{name} must be a number of at least {least:g}, not {found!r}.")
    return amount


def flag(node: Node, name: str, default: bool = False) -> bool:
    found = value(node, name)
    if found is None:
        return default
    if isinstance(found, bool):
        return found
    if str(found).lower() not in _FLAGS:
        raise ValueError(f"{name} must be true or false, not {found!r}.")
    return _FLAGS[str(found).lower()]


def choice(node: Node, name: str, *among: str, default: str) -> str:
    found = text(node, name) or default
    if found not in among:
        raise ValueError(f"{name} must be {' or '.join(repr(one) for one in among)}, not '{found}'.")
    return found


def names(node: Node, name: str, *, like: str, pattern: str = r".+") -> tuple[str, ...]:
    """A list of strings, each of which `pattern` takes; `like` is an example of one."""
    found = value(node, name)
    listed = [one.strip() for one in found.split(",")] if isinstance(found, str) else found or []
    if not isinstance(listed, list) or not all(
        isinstance(one, str) and re.fullmatch(pattern, one) for one in listed
    ):
        raise ValueError(f'{name} must be a list like ["{like}"], not {found!r}.')
    return tuple(listed)


def json_object(node: Node, name: str, *, like: str) -> dict[str, Any]:
    """An object, whose content the caller checks; `like` is an example."""
    found = value(node, name)
    try:
        parsed = json.loads(found) if isinstance(found, str) else found or {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError(f"{name} must be an object like {like}, not {found!r}.")
    return parsed
