"""Write docs/roles.md: what each role may do, with what, and why, read from the synthesized templates.

`python -m scripts.roles_table`
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.synthesis import Templates, reading, same, templates
from stacks.permissions import REASONS

PAGE = Path(__file__).resolve().parents[1] / "docs/roles.md"
_INTRODUCTION = """\
# Roles

Every function, state machine and training job has a role of its own. This is all they may do, in a deployment
whose settings are the defaults; other settings add what [settings.md](settings.md) says. A resource with an
asterisk has its reason beside it. The table is made from the templates by `python -m scripts.roles_table`.
"""
_EXPORT = re.compile(
    r"(?P<stack>\w+):ExportsOutput(FnGetAtt|Ref)(?P<id>\w+?)[0-9A-F]{8}(Arn|Name)?[0-9A-F]{8}"
)
_HASH = re.compile(r"[0-9A-F]{8}$")


@dataclass(frozen=True)
class Statement:
    role: str
    """`OutcropApi Api`: the stack, and what the role is for."""
    effect: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    """As the template has them."""
    condition: dict[str, Any]
    reasons: dict[str, str]
    """Why a resource is a pattern, by the resource as it is shown."""


def statements(of: Templates) -> Iterator[Statement]:
    """Of every policy of every role."""
    for stack, template in of.items():
        roles = reading(template, "AWS::IAM::Role")
        for policy in reading(template, "AWS::IAM::Policy").values():
            for reference in policy["Properties"]["Roles"]:
                role = roles[reference["Ref"]]
                for one in policy["Properties"]["PolicyDocument"]["Statement"]:
                    yield _statement(stack, reference["Ref"], role, one)
        for id, role in roles.items():
            for policy in role["Properties"].get("Policies", ()):
                for one in policy["PolicyDocument"]["Statement"]:
                    yield _statement(stack, id, role, one)


def _statement(stack: str, role_id: str, role: dict[str, Any], one: dict[str, Any]) -> Statement:
    given = role.get("Metadata", {}).get(REASONS, [])
    resources = _listed(one["Resource"])
    return Statement(
        role=f"{stack} {_HASH.sub('', role_id).removesuffix('Role')}".strip(),
        effect=one["Effect"],
        actions=tuple(_listed(one["Action"])),
        resources=tuple(resources),
        condition=one.get("Condition", {}),
        reasons={
            shown(resource): reason["because"]
            for resource in resources
            for reason in given
            if same(reason["resource"], resource)
        },
    )


def shown(value: Any) -> str:
    """A part of a template, for people: `OutcropStorage.Bucket/projects/*`."""
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return f"{{{name.removeprefix('AWS::')}}}" if name.startswith("AWS::") else _HASH.sub("", name)
        case {"Fn::GetAtt": [name, "Arn"]}:
            return _HASH.sub("", name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{_HASH.sub('', name)}.{attribute}"
        case {"Fn::ImportValue": name}:
            found = _EXPORT.fullmatch(name)
            return f"{found['stack']}.{found['id']}" if found else name
        case {"Fn::Join": [separator, parts]}:
            return separator.join(shown(part) for part in parts)
        case {"Fn::Sub": text}:
            return text.replace("${AWS::", "{")
        case {"Fn::Select": [_, {"Fn::Split": [_, whole]}]}:
            return shown(whole)
    return str(value)


def page() -> str:
    of = templates()
    lines = [_INTRODUCTION]
    found = list(statements(of))
    for role in sorted({one.role for one in found}):
        lines += [f"## {role}", "", "| action | resource | when, or why |", "|---|---|---|"]
        lines += sorted({row for one in found if one.role == role for row in _rows(one)})
        lines.append("")
    return "\n".join(lines)


def _rows(one: Statement) -> Iterator[str]:
    conditions = "; ".join(
        f"`{key}` {operator} {', '.join(f'`{shown(text)}`' for text in _listed(text_or_list))}"
        for operator, tests in one.condition.items()
        for key, text_or_list in tests.items()
    )
    if one.effect == "Deny":
        never, on = (", ".join(f"`{name}`" for name in names) for names in (one.actions, _names(one)))
        yield f"| **never** {never} | {on} | {conditions} |"
        return
    for action in one.actions:
        for resource in one.resources:
            why = ". ".join(filter(None, (conditions, one.reasons.get(shown(resource), ""))))
            yield f"| `{action}` | `{_short(shown(resource))}` | {why} |"


def _names(one: Statement) -> list[str]:
    return [_short(shown(resource)) for resource in one.resources]


def _short(name: str) -> str:
    """Without what every ARN of the deployment's own account and Region begins with, and an asset's hash."""
    asset = re.sub(r"[0-9a-f]{64}", "{hash}", name)
    return re.sub(r"^arn:\{Partition\}:(\w+):\{Region\}:\{AccountId\}:", r"\1: ", asset)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    PAGE.write_text(page())
