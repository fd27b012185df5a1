"""The real state machine definition on emulated Step Functions, with the real steps and scripted training."""

import importlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_callback

from local import assembly, moto_patches
from outcrop.operations import training
from outcrop.settings import settings
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests.account import Account, emulated_stops
from tests.in_process import a_context
from tests.workflow.training import ScriptedTrainingJobs

_ROLE = "arn:aws:iam::123456789012:role/training"
_EMPTY_ZIP = b"PK\x05\x06" + b"\0" * 18
_SECONDS = 30
_machines = itertools.count()

Hook = Callable[[str], None]


@dataclass
class Workflow:
    """`run` a job to the end of its execution. Set `times` to 2 to have every step invoked twice."""

    training_jobs: ScriptedTrainingJobs = field(default_factory=ScriptedTrainingJobs)
    times: int = 1
    before: Hook = lambda step: None
    """Called with the name of every step (`prepare_training`, ...) before it runs."""
    running: Callable[[str], AbstractContextManager[None]] = lambda function: nullcontext()
    """Around every invocation of a function."""
    handlers: dict[str, str] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)
    """Of the state machine, as it is executed."""

    def redefine(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Execute a changed definition: `change` gets the states by name."""
        self.definition = json.loads(json.dumps(self.definition))
        change(self.definition["States"])
        machine = boto3.client("stepfunctions").create_state_machine(
            name=f"workflow-{next(_machines)}", definition=json.dumps(self.definition), roleArn=_ROLE
        )
        os.environ["OUTCROP_STATE_MACHINE_ARN"] = machine["stateMachineArn"]
        settings.cache_clear()

    def history(self, job: FineTuningJob) -> list[dict[str, Any]]:
        """All events of the execution of the job's current attempt."""
        client = boto3.client("stepfunctions")
        machine = os.environ["OUTCROP_STATE_MACHINE_ARN"].replace(":stateMachine:", ":execution:")
        pages = client.get_paginator("get_execution_history").paginate(
            executionArn=f"{machine}:{job.id}-{job.attempt}"
        )
        return [dict(event) for page in pages for event in page["events"]]

    def run(self, job: FineTuningJob) -> FineTuningJob:
        training.start(job)
        self.wait(job)
        return JobStore(job.organization_id).get(job.id)

    def wait_for_status(self, job: FineTuningJob, status: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while JobStore(job.organization_id).get(job.id).status != status:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job.id} does not become {status}.")
            time.sleep(0.05)

    def wait(self, job: FineTuningJob) -> str:
        """The status the execution ends with."""
        client = boto3.client("stepfunctions")
        machine = os.environ["OUTCROP_STATE_MACHINE_ARN"].replace(":stateMachine:", ":execution:")
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            arn = f"{machine}:{job.id}-{job.attempt}"
            status = client.describe_execution(executionArn=arn)["status"]
            if status != "RUNNING":
                return status
            time.sleep(0.05)
        raise TimeoutError(f"The execution of {job.id} does not end.")

    def invoke(self, function: str, payload: bytes) -> tuple[bytes, bool]:
        module = self.handlers[function].rpartition(".")[0]
        handler = importlib.import_module(module).handler
        try:
            self.before(module.rpartition(".")[2])
            with self.running(function):
                answers = [handler(json.loads(payload), a_context()) for _ in range(self.times)]
        except Exception as error:  # as Lambda reports whatever a handler raises
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode(), True
        return json.dumps(answers[-1]).encode(), False


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """OutcropWorkflow, synthesized."""
    stacks = dict(assembly.templates(assembly.synthesize(["tiny-caps"])))
    return stacks["OutcropWorkflow"]


@pytest.fixture
def workflow(aws: Account, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Workflow]:
    for service, options in moto_patches.CONFIG.items():
        monkeypatch.setitem(default_user_config, service, options)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.05)
    workflow = Workflow()
    moto_patches.install(
        invoke=workflow.invoke,
        training_jobs=workflow.training_jobs,  # pyright: ignore[reportArgumentType]
    )
    workflow.handlers = {
        id: one["Properties"]["Handler"]
        for id, one in template["Resources"].items()
        if one["Type"] == "AWS::Lambda::Function"
    }
    arns = _create_functions(workflow.handlers)
    workflow.definition = definition(template, arns)
    monkeypatch.setenv("OUTCROP_STATE_MACHINE_ARN", "is made by `redefine`, and forgotten after the test")
    workflow.redefine(_cut_short)
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:test")
    with emulated_stops():
        yield workflow


def _create_functions(names: Iterable[str]) -> dict[str, str]:
    """Their ARNs by name; all have one role."""
    roles, functions = boto3.client("iam"), boto3.client("lambda")
    role = roles.create_role(RoleName="functions", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    return {
        name: functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="is.looked.up",
            Code={"ZipFile": _EMPTY_ZIP},
        )["FunctionArn"]
        for name in names
    }


def definition(template: dict[str, Any], arns: Mapping[str, str]) -> dict[str, Any]:
    """The template's definition, with its references resolved."""
    (machine,) = (
        one for one in template["Resources"].values() if one["Type"] == "AWS::StepFunctions::StateMachine"
    )
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    return json.loads("".join(_resolve(part, arns) for part in parts))


def _cut_short(states: dict[str, Any]) -> None:
    """Waits and retries."""
    for state in states.values():
        if state["Type"] == "Wait":
            state.pop("SecondsPath", None)
            state["Seconds"] = 1
        for retry in state.get("Retry", ()):
            retry["MaxAttempts"] = 1


def _resolve(part: Any, arns: Mapping[str, str]) -> str:
    match part:
        case str():
            return part
        case {"Fn::GetAtt": [function, "Arn"]}:
            return arns[function]
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Fn::ImportValue": str()}:  # the one import is the role of training jobs
            return _ROLE
    raise ValueError(f"The definition refers to {part}.")
