"""`Patient`: the deployment as checks see it; `Finding`: what one of them says is wrong, and what helps."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.settings import Settings, settings
from outcrop.stores import deployed, lookups
from outcrop.stores.deployed import Deployed

# Functions whose environment is what the settings were when the stacks were deployed.
_SETTLED = (
    ("OutcropWorkflow", "PrepareTraining"),
    ("OutcropServing", "Inference"),
    ("OutcropApi", "Api"),
)
FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True)
class Finding:
    says: str
    """What is wrong, and with what."""
    fix: str
    """What to do about it."""
    check: str = ""
    """Which check says so."""


@dataclass(frozen=True)
class Resource:
    stack: str
    logical_id: str
    kind: str
    """CloudFormation's type."""
    name: str
    """Its physical id."""


@dataclass(frozen=True)
class Patient:
    deployed: Deployed
    resources: Sequence[Resource]
    functions: Mapping[str, dict[str, Any] | None]
    """Lambda's configuration of each function by name; None of one that is gone."""
    settings: Settings
    """As the functions have them."""
    now: int
    graders: Sequence[str] = ()
    """Names or ARNs of functions that somebody means to use as graders."""

    def of_kind(self, kind: str, *stacks: str) -> list[Resource]:
        return [one for one in self.resources if one.kind == kind and (not stacks or one.stack in stacks)]

    def function(self, stack: str, construct: str) -> dict[str, Any] | None:
        """Of the construct of that id."""
        name = function_name(self.resources, stack, construct)
        return self.functions.get(name) if name else None


Check = Callable[[Patient], Iterator[Finding]]


def examine(found: Deployed, now: int, graders: Sequence[str]) -> Patient:
    """Raises: Refused where even that may not be looked at."""
    deployed.use(found)
    resources = [
        Resource(stack, one["LogicalResourceId"], one["ResourceType"], one.get("PhysicalResourceId", ""))
        for stack in found.stacks
        for one in lookups.every(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack
        )
        if one["ResourceStatus"] != "DELETE_COMPLETE"
    ]
    functions = {one.name: _configuration(one.name) for one in resources if one.kind == FUNCTION}
    for stack, construct in _SETTLED:
        name = function_name(resources, stack, construct)
        configuration = functions.get(name) if name else None
        deployed.adopt((configuration or {}).get("Environment", {}).get("Variables", {}))
    deployed.use(found)  # where the two differ, the stacks are right
    return Patient(found, resources, functions, settings(), now, graders)


def function_name(resources: Sequence[Resource], stack: str, construct: str) -> str | None:
    """The name that CloudFormation gave the function; its logical id ends with eight letters of the CDK's."""
    logical_id = re.compile(rf"{construct}[0-9A-F]{{8}}")
    return next(
        (
            one.name
            for one in resources
            if (one.stack, one.kind) == (stack, FUNCTION) and logical_id.fullmatch(one.logical_id)
        ),
        None,
    )


def _configuration(name: str) -> dict[str, Any] | None:
    return lookups.find("lambda", "get_function_configuration", absent="ResourceNotFound", FunctionName=name)
