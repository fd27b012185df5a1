"""What IAM would say: the templates' policies with their references filled in, and an evaluator of them.

An action is allowed if a statement allows it and none denies it. Patterns, conditions (with `IfExists`,
`ForAllValues:`, `ForAnyValue:`) and denials are as in
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html; what no policy
here uses is an error, so that nothing is taken for checked that is not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from scripts.roles_table import statements
from scripts.synthesis import Templates

ACCOUNT, REGION = "123456789012", "us-west-2"
BUCKET, TABLE = "outcrop-bucket", "outcrop-table"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
_ARNS: dict[str, str] = {
    "AWS::CodeBuild::Project": "codebuild:{place}:project/{name}",
    "AWS::DynamoDB::Table": f"dynamodb:{{place}}:table/{TABLE}",
    "AWS::ECR::Repository": "ecr:{place}:repository/{name}",
    "AWS::IAM::Role": f"iam::{ACCOUNT}:role/{{name}}",
    "AWS::Lambda::Function": "lambda:{place}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{place}:log-group:{name}:*",
    "AWS::S3::Bucket": f"s3:::{BUCKET}",
    "AWS::SNS::Topic": "sns:{place}:{name}",
    "AWS::SQS::Queue": "sqs:{place}:{name}",
    "AWS::StepFunctions::StateMachine": "states:{place}:stateMachine:{name}",
}
_NAMES = {"AWS::DynamoDB::Table": TABLE, "AWS::S3::Bucket": BUCKET}

Context = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Policy:
    """The statements of one role."""

    statements: tuple[dict[str, Any], ...] = ()

    def allows(self, action: str, resource: str, context: Context | None = None) -> bool:
        found = {one["Effect"] for one in self.statements if _applies(one, action, resource, context or {})}
        return found == {"Allow"}


@dataclass(frozen=True)
class Account:
    """The stacks as if they were deployed."""

    templates: Templates = field(repr=False)

    def policies(self) -> dict[str, Policy]:
        """By role, as docs/roles.md calls it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in statements(self.templates):
            stack = one.role.partition(" ")[0]
            found.setdefault(one.role, []).append(
                {
                    "Effect": one.effect,
                    "Action": one.actions,
                    "Resource": [self.value(stack, resource) for resource in one.resources],
                    "Condition": {
                        operator: {key: _listed(self.value(stack, text)) for key, text in tests.items()}
                        for operator, tests in one.condition.items()
                    },
                }
            )
        return {role: Policy(tuple(each)) for role, each in found.items()}

    def arn(self, stack: str, id: str) -> str:
        """Of the resource whose logical id is `id`, with or without its hash."""
        (type, logical_id) = next(
            (one["Type"], name)
            for name, one in self.templates[stack]["Resources"].items()
            if name == id or re.fullmatch(f"{id}[0-9A-F]{{8}}", name)
        )
        name = f"{stack}-{logical_id}"
        return "arn:aws:" + _ARNS[type].format(place=f"{REGION}:{ACCOUNT}", name=name)

    def value(self, stack: str, of: Any) -> Any:
        """A part of the template with its references filled in."""
        match of:
            case list():
                return [self.value(stack, one) for one in of]
            case {"Ref": str(name)} if name in _PSEUDO:
                return _PSEUDO[name]
            case {"Ref": str(name)}:
                type = self.templates[stack]["Resources"][name]["Type"]
                is_arn = type in ("AWS::StepFunctions::StateMachine", "AWS::SNS::Topic")
                return self.arn(stack, name) if is_arn else _NAMES.get(type, f"{stack}-{name}")
            case {"Fn::GetAtt": [name, "Arn"]}:
                return self.arn(stack, name)
            case {"Fn::GetAtt": [name, _]}:
                return f"{stack}-{name}"
            case {"Fn::ImportValue": name}:
                return self._exported(name)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.value(stack, part) for part in parts)
            case {"Fn::Select": [index, parts]}:
                return self.value(stack, parts)[int(index)]
            case {"Fn::Split": [separator, whole]}:
                return self.value(stack, whole).split(separator)
            case {"Fn::FindInMap": [name, *keys]}:
                first, second = (self.value(stack, key) for key in keys)
                return self.templates[stack]["Mappings"][name][first][second]
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)}", lambda found: _PSEUDO[found[1]], text)
            case str() | bool():
                return str(of).lower() if isinstance(of, bool) else of
        raise NotImplementedError(f"The evaluator does not know {of}.")

    def _exported(self, name: str) -> Any:
        for stack, template in self.templates.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self.value(stack, output["Value"])
        raise KeyError(name)


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        any(matches(pattern, action, ignore_case=True) for pattern in statement["Action"])
        and any(matches(pattern, resource) for pattern in statement["Resource"])
        and all(
            _holds(operator, key, wanted, context)
            for operator, tests in statement["Condition"].items()
            for key, wanted in tests.items()
        )
    )


def _holds(operator: str, key: str, wanted: Sequence[str], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    given = context.get(key)
    if name == "Null":
        return str(given is None).lower() in wanted
    if given is None:
        return if_exists or quantifier == "ForAllValues"
    test = _OPERATORS[name]
    found = [any(test(pattern, one) for pattern in wanted) for one in _listed(given)]
    return any(found) if quantifier == "ForAnyValue" else all(found)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": lambda pattern, text: matches(pattern, text),
    "ArnLike": lambda pattern, text: matches(pattern, text),
    "Bool": lambda pattern, text: pattern == text,
    "StringEquals": lambda pattern, text: pattern == text,
    "StringLike": lambda pattern, text: matches(pattern, text),
}


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@cache
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    regex = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    return re.compile(regex, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
