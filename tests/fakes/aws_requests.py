"""Checks a request as AWS would, by botocore's model of the service: shapes, bounds, enums and patterns."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.validate import ParamValidator

# A pattern with surrogates means "any character", in a way that Python does not read.
_CLASS = r"\\p\{(ASCII|Print|L|Z|N)\}"


def check(operation: Any, params: Mapping[str, Any]) -> None:
    """Raises: AssertionError that says what is wrong with a request to an operation (an `OperationModel`)."""
    report = ParamValidator().validate(params, operation.input_shape)
    wrong = [report.generate_report()] if report.has_errors() else []
    wrong += _wrong(operation.input_shape, params, operation.name)
    if wrong:
        raise AssertionError("\n".join(wrong))


def _wrong(shape: Any, value: Any, place: str) -> Iterator[str]:
    """What botocore leaves to the service to find."""
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if name in value:
                    yield from _wrong(member, value[name], f"{place}.{name}")
        case "list":
            yield from _outside(shape, len(value), place)
            for number, one in enumerate(value):
                yield from _wrong(shape.member, one, f"{place}[{number}]")
        case "map":
            yield from _outside(shape, len(value), place)
            for key, one in value.items():
                yield from _wrong(shape.key, key, f"{place} key {key}")
                yield from _wrong(shape.value, one, f"{place}.{key}")
        case "string":
            yield from _outside(shape, len(value), place)
            if shape.enum and value not in shape.enum:
                yield f"{place}: {value!r} is none of its values"
            pattern = shape.metadata.get("pattern")
            if pattern and r"\uD800" not in pattern and not re.fullmatch(_python(pattern), value):
                yield f"{place}: {value!r} does not match {pattern}"
        case "integer" | "float" | "long" | "double":
            yield from _outside(shape, value, place)
        case "blob":
            yield from _outside(shape, len(value), place)


def _outside(shape: Any, size: float, place: str) -> Iterator[str]:
    if size < shape.metadata.get("min", size) or size > shape.metadata.get("max", size):
        yield f"{place}: {size} is not within {shape.metadata.get('min')} and {shape.metadata.get('max')}"


def _python(pattern: str) -> str:
    """Java's classes of characters in Python's words, as far as it has them."""
    inside = re.sub(
        r"\[[^\[\]]*\]", lambda one: re.sub(_CLASS, lambda _: r"\w\W", one[0]), pattern.replace(r"\z", r"\Z")
    )
    return re.sub(_CLASS, lambda _: r"[\w\W]", inside)
