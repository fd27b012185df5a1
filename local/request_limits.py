"""The limits that an AWS API's model states for a request: required members, types, lengths, patterns, enums.

botocore checks only some of them on the way out, and Step Functions' interpreter switches even these off:
without this the emulator would take requests that AWS refuses.
"""

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator


def violations(operation: OperationModel, request: dict[str, Any]) -> list[str]:
    shape = operation.input_shape
    assert shape
    report = ParamValidator().validate(request, shape)
    return [report.generate_report()] if report.has_errors() else list(_beyond(shape, request, ""))


def _beyond(shape: Shape, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    size = _size(value)
    if not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"Value at '{path}' failed to satisfy constraint: Member must be within {_range(limits)}"
    if isinstance(value, str):
        pattern = limits.get("pattern", "")
        # Java's \p{...} is unknown to re; the few patterns that use it allow nearly every character.
        if pattern and r"\p" not in pattern and not re.fullmatch(pattern, value, re.ASCII):
            yield (
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {pattern}"
            )
        allowed = getattr(shape, "enum", [])
        if allowed and value not in allowed:
            yield (
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(allowed)}]"
            )
    elif isinstance(shape, StructureShape):
        for name, member in value.items():
            yield from _beyond(shape.members[name], member, f"{path}.{name}".lstrip("."))
    elif isinstance(shape, MapShape):
        for name, member in value.items():
            yield from _beyond(shape.key, name, f"{path}.key")
            yield from _beyond(shape.value, member, f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for index, member in enumerate(value, 1):
            yield from _beyond(shape.member, member, f"{path}.{index}.member")


def _size(value: Any) -> float:
    return value if isinstance(value, int | float) else len(value)


def _range(limits: dict[str, Any]) -> str:
    return f"{limits.get('min', '...')} and {limits.get('max', '...')}"
