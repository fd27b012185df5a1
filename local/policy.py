"""An authorizer's answer: the IAM policy that decides, and the context that the functions behind it get."""

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    context: dict[str, Any]
    """`requestContext.authorizer`: values are strings, as API Gateway hands them on."""
    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    """ARN patterns with `*` and `?`."""

    def allows(self, method_arn: str) -> bool:
        """An explicit deny wins; what is not allowed is denied."""
        return _any_matches(self.allowed, method_arn) and not _any_matches(self.denied, method_arn)


def read(answer: bytes) -> Decision:
    """Raises: ValueError for anything that API Gateway would not take."""
    match json.loads(answer):
        case {"principalId": str(principal), "policyDocument": {"Statement": list(statements)}, **rest}:
            values = rest.get("context") or {}
        case _:
            raise ValueError("An authorizer answers with a principalId and a policyDocument.")
    if any(isinstance(value, dict | list) for value in values.values()):
        raise ValueError("An authorizer's context holds strings, numbers and booleans alone.")
    context = {name: _text(value) for name, value in values.items() if value is not None}
    return Decision(
        context={"principalId": principal, **context},
        allowed=_resources(statements, "Allow"),
        denied=_resources(statements, "Deny"),
    )


def _resources(statements: list[dict[str, Any]], effect: str) -> tuple[str, ...]:
    resources: list[str] = []
    for statement in statements:
        if statement.get("Effect") == effect:
            resource = statement.get("Resource", [])
            resources += [resource] if isinstance(resource, str) else resource
    return tuple(resources)


def _any_matches(patterns: tuple[str, ...], arn: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), arn) for pattern in patterns
    )


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else value
