"""The settings of who and what may reach the deployment, and how it is marked: `custom_domain`,
`grader_prefixes`, `tags`, `log_retention_days`.
"""

import re
from dataclasses import dataclass

from constructs import Node

from stacks.setting_types import json_object, names, whole_number

_DOMAIN_EXAMPLE = (
    '{"name": "rft.example.com", "certificate_arn": "arn:aws:acm:us-west-2:123456789012:certificate/...", '
    '"hosted_zone_id": "Z0123456789ABC"}'
)
_DOMAIN_FIELDS = {
    "name": r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    "certificate_arn": r"arn:[\w-]+:acm:[\w-]+:\d{12}:certificate/[\w-]+",
    "hosted_zone_id": r"Z[A-Z0-9]+",
}
_FUNCTION = r"[\w-]+\*?|\*|arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+\*?"
_TAG_CHARACTERS = r"[\w\s.:/=+@-]"
_YEARS = (365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_RETENTION_DAYS = (1, 3, 5, 7, 14, *(30 * months for months in range(1, 7)), *_YEARS)


@dataclass(frozen=True)
class CustomDomain:
    name: str
    certificate_arn: str
    hosted_zone_id: str = ""


def custom_domain(node: Node) -> CustomDomain | None:
    found = json_object(node, "custom_domain", like=_DOMAIN_EXAMPLE)
    if not found:
        return None
    if {"name", "certificate_arn"} - found.keys() or found.keys() - _DOMAIN_FIELDS.keys():
        raise ValueError(f"custom_domain must be like {_DOMAIN_EXAMPLE}, not {found}.")
    for name, text in found.items():
        if not isinstance(text, str) or not re.fullmatch(_DOMAIN_FIELDS[name], text):
            raise ValueError(f"custom_domain.{name} is not one: {text!r}. It must be like {_DOMAIN_EXAMPLE}.")
    return CustomDomain(**found)


def grader_prefixes(node: Node) -> tuple[str, ...]:
    """A beginning may have its asterisk or not; it is given back without."""
    listed = names(node, "grader_prefixes", like="my-graders-", pattern=_FUNCTION)
    return tuple(one.removesuffix("*") for one in listed)


def tags(node: Node) -> dict[str, str]:
    like = '{"team": "research"}'
    found = json_object(node, "tags", like=like)
    for name, text in found.items():
        if name.lower().startswith("aws:") or not re.fullmatch(f"{_TAG_CHARACTERS}{{1,128}}", name):
            raise ValueError(
                f"tags: {name!r} cannot be a tag's name: 1 to 128 letters, digits and spaces or any of "
                "'.:/=+@-_', and not beginning with 'aws:'."
            )
        if not isinstance(text, str) or not re.fullmatch(f"{_TAG_CHARACTERS}{{0,256}}", text):
            raise ValueError(f"tags must be like {like}: the value of {name!r} cannot be {text!r}.")
    return found


def log_retention_days(node: Node, default: int) -> int:
    days = whole_number(node, "log_retention_days", _RETENTION_DAYS[0], _RETENTION_DAYS[-1], default)
    if days not in _RETENTION_DAYS:
        offered = ", ".join(str(one) for one in _RETENTION_DAYS)
        raise ValueError(f"log_retention_days must be one of {offered}, not {days}.")
    return days
