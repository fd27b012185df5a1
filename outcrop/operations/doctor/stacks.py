"""The stacks: all there, in one piece, of this release, and as CloudFormation made them."""

import json
from collections.abc import Iterator

from outcrop.operations.doctor.patient import FUNCTION, Finding, Patient
from outcrop.stores import lookups
from outcrop.stores.deployed import SANDBOXES
from outcrop.version import VERSION

_DEPLOY = "make deploy ARGS=--all"
_NEEDED = (
    "OutcropStorage",
    "OutcropFiles",
    "OutcropTraining",
    "OutcropWeights",
    "OutcropWorkflow",
    "OutcropServing",
    "OutcropApi",
    "OutcropMonitoring",
)
_OUTPUTS = {
    "OutcropStorage": ("TableName", "BucketName"),
    "OutcropFiles": ("StateMachineArn",),
    "OutcropTraining": ("RoleArn",),
    "OutcropWeights": ("StateMachineArn",),
    "OutcropWorkflow": ("StateMachineArn",),
    "OutcropServing": ("ResponseStateMachineArn",),
    "OutcropApi": ("BaseUrl",),
}
_STATES = {"ValidateFiles", "PrepareTraining", "Train", "ClassifyStop", "RegisterModel", "Finish"}
_MACHINES = ("OutcropFiles", "OutcropWeights", "OutcropWorkflow", "OutcropServing")


def present(patient: Patient) -> Iterator[Finding]:
    there = patient.deployed.stacks
    missing = [name for name in _NEEDED if name not in there]
    if not any(sandbox in there for sandbox in SANDBOXES):
        missing.append(SANDBOXES[0])
    if missing:
        yield Finding(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in {patient.deployed.region}.",
            f"Deploy: {_DEPLOY}",
        )


def status(patient: Patient) -> Iterator[Finding]:
    for stack in patient.deployed.stacks.values():
        if stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            continue
        if stack.status.endswith("_IN_PROGRESS"):
            fix = "Wait for it, and look again. CloudFormation's console shows what it waits for."
        elif stack.status == "ROLLBACK_COMPLETE":
            fix = f"Delete the stack in CloudFormation's console (nothing is in it), then: {_DEPLOY}"
        else:
            fix = f"CloudFormation's console says why, under Events. Then: {_DEPLOY}"
        yield Finding(f"The stack {stack.name} is {stack.status}.", fix)


def version(patient: Patient) -> Iterator[Finding]:
    for stack in patient.deployed.stacks.values():
        deployed = stack.outputs.get("Version")
        if deployed != VERSION:
            yield Finding(
                f"The stack {stack.name} is of {deployed or 'a release before 0.1.0'}; this checkout is "
                f"{VERSION}.",
                f"Deploy this checkout ({_DEPLOY}), or check out the release that is deployed.",
            )


def outputs(patient: Patient) -> Iterator[Finding]:
    for name, wanted in _OUTPUTS.items():
        stack = patient.deployed.stacks.get(name)
        missing = [one for one in wanted if stack and one not in stack.outputs]
        if missing:
            yield Finding(f"The stack {name} has no output {', '.join(missing)}.", f"Deploy again: {_DEPLOY}")


def drift(patient: Patient) -> Iterator[Finding]:
    for stack in patient.deployed.stacks.values():
        if stack.drift == "DRIFTED":
            yield Finding(
                f"CloudFormation has seen that {stack.name} is not what it made: something was changed by "
                "hand.",
                f"`aws cloudformation describe-stack-resource-drifts --stack-name {stack.name}` says what. "
                "Change it back; a deployment repairs only what the templates change.",
            )


def functions(patient: Patient) -> Iterator[Finding]:
    for resource in patient.of_kind(FUNCTION):
        configuration = patient.functions[resource.name]
        what = f"The function {resource.name} ({resource.stack})"
        if configuration is None:
            yield Finding(
                f"{what} was deleted by hand.",
                f"Delete the stack {resource.stack} and deploy again ({_DEPLOY}); it holds no data.",
            )
            continue
        if configuration.get("State", "Active") not in ("Active", "Inactive"):
            yield Finding(
                f"{what} is {configuration['State']}: {configuration.get('StateReason', 'no reason given')}",
                f"Deploy again: {_DEPLOY}",
            )
        variables = configuration.get("Environment", {}).get("Variables", {})
        table = patient.settings.table
        if variables.get("OUTCROP_TABLE", table) != table:
            yield Finding(
                f"{what} works on the table {variables['OUTCROP_TABLE']}, and the stack's is {table}.",
                f"Its environment was changed by hand. Change it back, or delete {resource.stack} and deploy "
                "again.",
            )
        reserved = lookups.ask("lambda", "get_function_concurrency", FunctionName=resource.name)
        if reserved.get("ReservedConcurrentExecutions") == 0:
            yield Finding(
                f"{what} may not run: its reserved concurrency is 0.",
                f"aws lambda delete-function-concurrency --function-name {resource.name}",
            )


def state_machines(patient: Patient) -> Iterator[Finding]:
    for name in _MACHINES:
        outputs = patient.deployed.stacks[name].outputs if name in patient.deployed.stacks else {}
        arn = outputs.get("StateMachineArn") or outputs.get("ResponseStateMachineArn")
        if arn:
            yield from _state_machine(name, arn)


def _state_machine(stack: str, arn: str) -> Iterator[Finding]:
    found = lookups.find(
        "stepfunctions", "describe_state_machine", absent="StateMachine", stateMachineArn=arn
    )
    if found is None:
        yield Finding(
            f"The state machine {arn} was deleted by hand.",
            f"Delete the stack {stack} and those that import from it, and deploy again: {_DEPLOY}",
        )
    elif stack == "OutcropWorkflow":
        missing = _STATES - set(json.loads(found["definition"])["States"])
        if missing:
            yield Finding(
                f"The state machine of training has no {', '.join(sorted(missing))}: it was edited by hand.",
                f"Delete the stack {stack} and those that import from it, and deploy again: {_DEPLOY}",
            )


def sweeper(patient: Patient) -> Iterator[Finding]:
    for rule in patient.of_kind("AWS::Events::Rule", "OutcropWorkflow"):
        found = lookups.find("events", "describe_rule", absent="ResourceNotFound", Name=rule.name)
        if found is None or found["State"] == "DISABLED":
            yield Finding(
                f"The rule {rule.name} is {'gone' if found is None else 'disabled'}: nobody starts jobs "
                "whose start was lost, nor ends those whose workflow was.",
                f"aws events enable-rule --name {rule.name}" if found else f"Deploy again: {_DEPLOY}",
            )


def logs(patient: Patient) -> Iterator[Finding]:
    groups = patient.of_kind("AWS::Logs::LogGroup")
    if not groups:
        return
    there = {
        one["logGroupName"]: one
        for stack in {one.stack for one in groups}
        for one in lookups.every("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=f"{stack}-")
    }
    for group in groups:
        if group.name not in there:
            yield Finding(
                f"The log group {group.name} ({group.stack}) was deleted by hand: what would be in it is "
                "lost.",
                f"aws logs create-log-group --log-group-name {group.name}",
            )
        elif "retentionInDays" not in there[group.name]:
            yield Finding(
                f"The log group {group.name} keeps everything for ever.",
                f"aws logs put-retention-policy --log-group-name {group.name} --retention-in-days 30",
            )
