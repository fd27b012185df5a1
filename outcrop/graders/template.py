"""Grader templates: `{{ item.answer }}`, `{{ sample.output_json.tags[0]["name"] }}`.

Two namespaces: `item`, the training row, and `sample`, the completion (`GradedCompletion.sample`). A path is
looked up and nothing else happens: there are no filters, calls or sections, and what a variable renders to is
never rendered again. Text stays as it is, anything else becomes JSON. The grammar is OpenAI's:
https://platform.openai.com/docs/guides/graders
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from outcrop.graders.reward import GradingError

SAMPLE_VARIABLES = ("output_text", "output_json", "output_tools", "choices")

_NAMESPACE = re.compile(r"(item|sample)(?=[.\[])")
_SEGMENT = re.compile(
    r"""
    \. (?P<name> [^\s.\[\]{}'"]+ )
  | \[ \s* (?P<index> -?\d{1,9} ) \s* \]
  | \[ \s* (?P<quote> ['"] ) (?P<key> .*? ) (?P=quote) \s* \]
    """,
    re.VERBOSE,
)

Segment = str | int
Path = list[Segment]
"""`item.a[0]` is ["item", "a", 0]."""


def render(template: str, item: Mapping[str, Any], sample: Mapping[str, Any]) -> str:
    """`template` with every variable replaced.

    Raises: GradingError, `invalid_variable_error` for a path that is not there, `sample_parse_error` for
    `sample.output_json` of a completion that is not JSON.
    """
    namespaces = {"item": item, "sample": sample}
    return "".join(
        _text(_look_up(_parse(part), namespaces)) if is_variable else part
        for part, is_variable in _parts(template)
    )


def validate(template: str, field: str = "") -> None:
    """Raise GradingError, of the definition's `field`, unless every variable could exist: syntax, namespace,
    and its place in `sample`."""
    try:
        _validate(template)
    except GradingError as error:
        raise error.below(field) from error


def _validate(template: str) -> None:
    for part, is_variable in _parts(template):
        if not is_variable:
            if "{{" in part:
                raise _invalid("A '{{' is never closed by '}}'.")
            continue
        namespace, first, *rest = _parse(part)
        if namespace == "sample" and first not in SAMPLE_VARIABLES:
            known = ", ".join(SAMPLE_VARIABLES)
            why = " here: these models write text" if first == "output_audio" else ""
            raise _invalid(f"There is no 'sample.{first}'{why}; sample has {known}.")
        if namespace == "sample" and rest:
            _check_in_sample(first, rest[0])


def _check_in_sample(first: Segment, next: Segment) -> None:
    if first == "output_text":
        raise _invalid("'sample.output_text' is a text and has no parts; 'sample.output_json' may have.")
    if first in ("output_tools", "choices") and not isinstance(next, int):
        raise _invalid(f"'sample.{first}' is a list: its first one is 'sample.{first}[0]'.")


def _parts(template: str) -> Iterator[tuple[str, bool]]:
    """Texts and the insides of variables, in order. (A regular expression would take quadratic time over
    braces that are never closed.)"""
    at = 0
    while (opening := template.find("{{", at)) >= 0:
        closing = template.find("}}", opening + 2)
        if closing < 0:
            break
        yield template[at:opening], False
        yield template[opening + 2 : closing], True
        at = closing + 2
    yield template[at:], False


def _parse(expression: str) -> Path:
    text = expression.strip()
    namespace = _NAMESPACE.match(text)
    if namespace is None:
        raise _invalid(f"'{text}' has to begin with 'item.' or 'sample.', as in '{{{{ item.answer }}}}'.")
    path: Path = [namespace[0]]
    at = namespace.end()
    while at < len(text):
        segment = _SEGMENT.match(text, at)
        if segment is None:
            raise _invalid(f"'{text}' is not a path such as 'item.tags[0].name'.")
        path.append(_key(segment))
        at = segment.end()
    return path


def _key(segment: re.Match[str]) -> Segment:
    if segment["index"] is not None:
        return int(segment["index"])
    return segment["name"] if segment["name"] is not None else segment["key"]


def variables(template: str) -> list[Path]:
    """Raises: GradingError for one that is not a path."""
    return [_parse(part) for part, is_variable in _parts(template) if is_variable]


def find(path: Path, namespaces: Mapping[str, Any]) -> Any:
    """Raises: KeyError with the shortest beginning of `path` that leads to nothing, as one writes it."""
    value: Any = namespaces
    for depth, segment in enumerate(path):
        try:
            if isinstance(value, str):
                raise TypeError  # a text has no parts, though Python would index it
            value = value[segment]
        except (KeyError, IndexError, TypeError):
            raise KeyError(_spell(path[: depth + 1])) from None
    return value


def _look_up(path: Path, namespaces: Mapping[str, Any]) -> Any:
    try:
        return find(path, namespaces)
    except KeyError as error:
        [missing] = error.args
        if missing == "sample.output_json":
            message = "The template reads sample.output_json, but the completion is not JSON."
            raise GradingError("sample_parse_error", message) from None
        raise _invalid(f"There is no '{missing}' (in '{_spell(path)}').") from None


def _spell(path: Path) -> str:
    first, *rest = path
    return f"{first}" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in rest)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _invalid(message: str) -> GradingError:
    return GradingError("invalid_variable_error", message)
