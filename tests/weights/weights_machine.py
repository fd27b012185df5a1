"""The state machine of OutcropWeights, as it is synthesized, on emulated Step Functions."""

import json
from typing import Any

import boto3

_EMPTY_ZIP = b"PK\x05\x06" + b"\0" * 18


def handlers(template: dict[str, Any]) -> dict[str, str]:
    """Of its functions, by their names."""
    return {
        name: one["Properties"]["Handler"]
        for name, one in template.items()
        if one["Type"] == "AWS::Lambda::Function"
    }


def create(template: dict[str, Any]) -> str:
    """Its ARN."""
    client: Any = boto3.client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/weights"
    made = client.create_state_machine(name="weights", definition=_definition(template), roleArn=role)
    return made["stateMachineArn"]


def _definition(template: dict[str, Any]) -> str:
    """The template's definition, with its functions' ARNs, and its waits and retries cut short."""
    (made,) = (one for one in template.values() if one["Type"] == "AWS::StepFunctions::StateMachine")
    roles, functions = boto3.client("iam"), boto3.client("lambda")
    role = roles.create_role(RoleName="weights", AssumeRolePolicyDocument="{}")["Role"]["Arn"]

    def arn(name: str) -> str:
        created = functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="is.looked.up",
            Code={"ZipFile": _EMPTY_ZIP},
        )
        return created["FunctionArn"]

    parts = made["Properties"]["DefinitionString"]["Fn::Join"][1]
    definition = json.loads(
        "".join(one if isinstance(one, str) else arn(one["Fn::GetAtt"][0]) for one in parts)
    )
    inner = definition["States"]["FetchAll"]["ItemProcessor"]["States"]
    for state in [*definition["States"].values(), *inner.values()]:
        if state["Type"] == "Wait":
            state["Seconds"] = 0
            del state["SecondsPath"]
        for retry in state.get("Retry", ()):
            retry |= {"MaxAttempts": 1, "IntervalSeconds": 1}
    return json.dumps(definition)
