"""What the steps of a job may do is what jobs need: those that succeed and fail, wait for weights, are
cancelled at the wrong moment, and whose workflow cannot go on."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from outcrop import s3_keys
from outcrop.base_models import BaseModel
from outcrop.ids import now
from outcrop.settings import settings
from outcrop.stores import clients
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.fakes.hugging_face import HuggingFace
from tests.stacks.conftest import Templates
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder, Request
from tests.stacks.used import BY_LAMBDA, BY_STEP_FUNCTIONS, machines, refused, role_of, unused
from tests.weights import weights_machine
from tests.weights.conftest import hub, model, weights_template
from tests.workflow.conftest import Workflow, template, workflow
from tests.workflow.test_results import telling
from tests.workflow.training import completes, fails, leaves_no_result

__all__ = ["hub", "model", "template", "weights_template", "workflow"]  # fixtures
STEPS = ("ValidateFiles", "PrepareTraining", "ClassifyStop", "RegisterModel", "Finish")


def a_new_job(**fields: Any) -> FineTuningJob:
    return factories.a_job(**{"training_file": factories.a_file().id, **fields})


@contextmanager
def cancelled_before_its_end_is_written() -> Iterator[None]:
    """Every job, when its model has just been made."""
    events = clients.dynamodb_table().meta.client.meta.events

    def cancel(params: dict[str, Any], **_: Any) -> None:
        row = json.loads(params["body"])["Item"]
        if row.get("kind") == {"S": "model"}:
            JobStore(factories.PROJECT).transition(row["job_id"]["S"], "cancelled", finished_at=now())

    events.register("before-call.dynamodb.PutItem", cancel)
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb.PutItem", cancel)


def saves_more_than_stay_and_tells_of_held_out_rows(spec: TrainingSpec) -> dict[str, Any]:
    job = JobStore(spec.project).get(spec.job_id)
    for step in (4, 8, 12, 16):
        factories.a_checkpoint(job, step=step)
    ObjectStore().put(f"{s3_keys.weights(spec.project, spec.job_id, 4)}model.safetensors", b"weights")
    ObjectStore().put(s3_keys.held_out(spec.project, spec.job_id), b"{}\n")
    return telling(completes, 1)(spec)


def raising_at(step: str) -> Callable[[str], None]:
    def before(name: str) -> None:
        if name == step:
            raise RuntimeError("It is the fault that was asked for.")

    return before


def test_the_steps_of_a_job_need_what_they_may_and_no_more(
    workflow: Workflow,
    hub: HuggingFace,
    model: BaseModel,
    weights_template: dict[str, Any],
    templates: Templates,
    account: Account,
    policies: dict[str, Policy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflow.handlers |= weights_machine.handlers(weights_template)
    weights = weights_machine.create(weights_template)
    monkeypatch.setenv("OUTCROP_WEIGHTS_WORKFLOW_ARN", weights)
    settings.cache_clear()
    recorder = Recorder()

    def running(function: str) -> AbstractContextManager[None]:
        return recorder.acting_as(role_of(templates, function))

    workflow.running = running
    workflow.training_jobs.scripts = [
        saves_more_than_stay_and_tells_of_held_out_rows,
        fails("AlgorithmError: exit code 1"),
        leaves_no_result,
        completes,
    ]

    with recorder.listening():
        workflow.run(a_new_job(training_file=factories.a_file(content=b"{}\n").id))
        for _ in range(3):
            workflow.run(a_new_job())
        waiting = workflow.run(a_new_job(model=model.id))
        with cancelled_before_its_end_is_written():
            cancelled = workflow.run(a_new_job())
        workflow.before = raising_at("prepare_training")
        lost = workflow.run(a_new_job())
        workflow.before = lambda step: None
        monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "")
        settings.cache_clear()
        workflow.run(a_new_job())

    assert (waiting.status, cancelled.status, lost.status) == ("succeeded", "cancelled", "failed")
    deployed = account.arn("OutcropWeights", "WeightsStateMachine")
    names = machines(account) | {weights: deployed}
    started = {
        one.resource
        for one in recorder.made["OutcropWorkflow PrepareTraining"]
        if one.action == "states:DescribeExecution"
    }

    def is_a_step(one: Request) -> bool:
        """What the emulated state machine of weights calls meanwhile."""
        return one.resource.rpartition(":")[2] in workflow.handlers

    execution = deployed.replace(":stateMachine:", ":execution:")
    names |= {arn: f"{execution}:{arn.rpartition(':')[2]}" for arn in started}
    for step in STEPS:
        role = f"OutcropWorkflow {step}"
        made = {one for one in recorder.made[role] if not is_a_step(one)}
        assert refused(policies[role], made, names) == [], role
        assert unused(policies[role], made, BY_LAMBDA, names) == [], role


@pytest.mark.parametrize(
    ("stack", "machine"),
    [
        ("OutcropFiles", "FileStateMachine"),
        ("OutcropServing", "ResponsesStateMachine"),
        ("OutcropWeights", "WeightsStateMachine"),
        ("OutcropWorkflow", "TrainingStateMachine"),
    ],
)
def test_a_state_machine_may_call_the_functions_of_its_definition_and_no_other(
    default_account: Account, stack: str, machine: str
) -> None:
    """Of all its paths, each of which is run in tests/workflow and tests/weights."""
    policy = default_account.policies()[f"{stack} {machine}"]
    (resource,) = (
        one["Properties"]
        for id, one in default_account.templates[stack]["Resources"].items()
        if one["Type"] == "AWS::StepFunctions::StateMachine" and id.startswith(machine)
    )
    definition = default_account.value(stack, resource["DefinitionString"])
    called = set(re.findall(r"arn:aws:lambda:[\w:-]+", definition))

    may = {
        resource
        for one in policy.statements
        for resource in one["Resource"]
        if "lambda:InvokeFunction" in one["Action"]
    }
    others = {
        action for one in policy.statements for action in one["Action"] if action != "lambda:InvokeFunction"
    }
    assert may == called
    if machine == "TrainingStateMachine":
        assert ":::sagemaker:createTrainingJob.sync" in definition
        role = default_account.arn("OutcropTraining", "Role")
        assert role in definition and policy.allows(
            "iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}
        )
        assert others == BY_STEP_FUNCTIONS.keys() | {"iam:PassRole", "sagemaker:CreateTrainingJob"}
    else:
        assert others == set()
