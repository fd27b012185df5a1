"""The templates of a deployment, and how they are looked into."""

import json
from typing import Any

from local import assembly

Templates = dict[str, dict[str, Any]]


def templates(**settings: Any) -> Templates:
    """By name of the stack, those others import from first. Raises: LocalError for a wrong setting."""
    return dict(assembly.templates(assembly.synthesized(settings)))


def reading(template: dict[str, Any], type: str) -> dict[str, dict[str, Any]]:
    """The resources of one type, by their logical ids."""
    return {id: one for id, one in template["Resources"].items() if one["Type"] == type}


def same(one: Any, other: Any) -> bool:
    """Whether two parts of a template say the same."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
