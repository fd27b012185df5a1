"""Background responses as deployed: the real definition of their state machine on emulated Step Functions,
and the real worker that it invokes."""

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from tests.in_process import a_context

_ROLE = "arn:aws:iam::123456789012:role/workflow"
_EMPTY_ZIP = b"PK\x05\x06" + b"\0" * 18
_SECONDS = 30


@dataclass
class Worker:
    """The function of the one task. `crashes` times it dies, having done `before_crash`; `times` is how often
    each invocation is delivered, `seconds` how long it may take."""

    module: str
    crashes: int = 0
    times: int = 1
    seconds: float = 900
    invocations: int = 0
    before_crash: Callable[[str], None] = lambda response_id: None

    def invoke(self, _function: str, payload: bytes) -> tuple[bytes, bool]:
        handler = importlib.import_module(self.module).handler
        context: Any = a_context()
        context.get_remaining_time_in_millis = lambda: self.seconds * 1000
        self.invocations += 1
        try:
            if self.invocations <= self.crashes:
                self.before_crash(json.loads(payload)["id"])
                raise RuntimeError("the worker was lost")
            answers = [handler(json.loads(payload), context) for _ in range(self.times)]
        except Exception as error:  # as Lambda reports whatever a handler raises
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode(), True
        return json.dumps(answers[-1]).encode(), False


def create_state_machine(template: dict[str, Any]) -> tuple[str, str]:
    """The ARN of the template's one state machine, created with its retries cut short; and the module of the
    function it invokes."""
    resources = template["Resources"]
    (machine,) = (one for one in resources.values() if one["Type"] == "AWS::StepFunctions::StateMachine")
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    (function,) = {part["Fn::GetAtt"][0] for part in parts if isinstance(part, dict) and "Fn::GetAtt" in part}
    role = boto3.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    arn = boto3.client("lambda").create_function(
        FunctionName=function,
        Runtime="python3.13",
        Role=role,
        Handler="is.looked.up",
        Code={"ZipFile": _EMPTY_ZIP},
    )["FunctionArn"]
    texts = [part if isinstance(part, str) else arn if "Fn::GetAtt" in part else "aws" for part in parts]
    definition = json.loads("".join(texts))
    for state in definition["States"].values():
        for retry in state.get("Retry", ()):
            retry |= {"MaxAttempts": 1, "IntervalSeconds": 1}
    machine_arn = boto3.client("stepfunctions").create_state_machine(
        name="responses", definition=json.dumps(definition), roleArn=_ROLE
    )["stateMachineArn"]
    handler: str = resources[function]["Properties"]["Handler"]
    return machine_arn, handler.rpartition(".")[0]


def wait_for_execution(machine_arn: str, name: str) -> str:
    """The status that the execution ends with."""
    arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    client = boto3.client("stepfunctions")
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        status = client.describe_execution(executionArn=arn)["status"]
        if status != "RUNNING":
            return status
        time.sleep(0.05)
    raise TimeoutError(f"The execution of {name} does not end.")
