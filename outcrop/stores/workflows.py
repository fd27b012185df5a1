"""Work that outlives a request: one execution of a state machine, named by the object it is about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError

from outcrop.stores.clients import client


@dataclass(frozen=True)
class Execution:
    name: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
    cause: str
    """Why it failed, in the state machine's words."""


def start(arn: str, name: str, input: Mapping[str, str | int]) -> None:
    """Start the execution `name` of a Standard state machine; one already started is success.

    Step Functions keeps a name for 90 days, so however often it is started, the work begins once.
    """
    try:
        client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=json.dumps(input))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
            raise


def find(arn: str, name: str) -> Execution | None:
    """The execution `name` of a Standard state machine; None if there is none."""
    execution = f"{arn.replace(':stateMachine:', ':execution:')}:{name}"
    try:
        found = client("stepfunctions").describe_execution(executionArn=execution)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ExecutionDoesNotExist":
            raise
        return None
    return Execution(name, found["status"], found.get("cause", ""))
