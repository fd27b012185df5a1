"""What serving by Bedrock's import may do is what the life of an imported model takes, and nothing else."""

import openai
import pytest
import time_machine
from openai import OpenAI

from outcrop.operations.reconcile import whole
from outcrop.serving import tuned_models
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.stores.projects import ProjectStore
from scripts import synthesis
from tests.account import sdk
from tests.factories import METHOD, ROWS
from tests.fakes.bedrock_import import FakeBedrock
from tests.fakes.clock import FakeClock
from tests.serving.conftest import configure
from tests.serving.test_bedrock_import import BASE, FILES, MODEL, a_tuned_model, ask, bedrock, client
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder, Request
from tests.stacks.used import refused, unused

__all__ = ["bedrock", "client"]  # fixtures
IMPORTING = ("bedrock:", "servicequotas:", "iam:")
"""What serving takes. What the same functions do beside it: see tests/stacks/test_used_*.py."""
ASKING, MAKING, API = "OutcropServing Inference", "OutcropWorkflow RegisterModel", "OutcropApi Api"
SWEEP = "OutcropWorkflow Sweep"


@pytest.fixture(scope="module")
def deployed() -> Account:
    return Account(synthesis.templates(serving="bedrock_import"))


def of_serving(policy: Policy) -> Policy:
    """Without judges, which are asked of Bedrock too."""
    return Policy(
        tuple(
            one | {"Action": [action for action in one["Action"] if action.startswith(IMPORTING)]}
            for one in policy.statements
            if "bedrock:InvokeModel" not in one["Action"]
        )
    )


def import_role(deployed: Account, stack: str) -> str:
    return deployed.arn(stack, "ImportRole")


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_model_that_was_deleted_while_it_was_imported_is_swept(
    deployed: Account, bedrock: FakeBedrock, clock: FakeClock, seconds: int
) -> None:
    recorder, policy = Recorder(), deployed.policies()[SWEEP]
    ProjectStore().ensure("acme")
    a_tuned_model("ftjob-2")
    ModelStore("acme").delete(MODEL)
    a_tuned_model()
    clock.move(seconds)

    with recorder.listening(), recorder.acting_as(SWEEP), time_machine.travel(clock.now(), tick=False):
        repaired = whole.sweep()

    made = {one for one in recorder.made[SWEEP] if one.action.startswith(IMPORTING)}
    assert all(one.error is None for one in repaired)
    assert [name for name, job in bedrock.jobs.items() if job.is_deleted] == (
        ["outcrop-ftjob-2"] if seconds else []
    )
    assert refused(policy, made) == []
    if seconds:
        assert unused(of_serving(policy), made, ()) == []


def test_the_life_of_an_imported_model_needs_what_the_functions_may_and_no_more(
    deployed: Account,
    client: OpenAI,
    bedrock: FakeBedrock,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policies, recorder = deployed.policies(), Recorder()
    here = sdk("acme")
    file = here.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")

    with recorder.listening():
        configure(monkeypatch, OUTCROP_IMPORT_ROLE_ARN=import_role(deployed, "OutcropWorkflow"))
        with recorder.acting_as(MAKING):
            model = a_tuned_model(files=("config.json",))
        configure(monkeypatch, OUTCROP_IMPORT_ROLE_ARN=import_role(deployed, "OutcropServing"))
        with recorder.acting_as(ASKING):
            clock.move(1000)
            with pytest.raises(openai.InternalServerError):
                ask(client)
            for name in FILES:
                ObjectStore().put(f"{model.merged_key}{name}", b"{}")
            clock.move(3600)
            bedrock.import_seconds = 500
            ask(client)
        with recorder.acting_as(API):
            here.fine_tuning.jobs.create(model=BASE, training_file=file.id, extra_body={"method": METHOD})
            here.models.delete(MODEL)
        tuned_models.deleted(model)

    made = {
        role: {one for one in recorder.made[role] if one.action.startswith(IMPORTING)}
        for role in recorder.made
    }
    for role in (ASKING, MAKING, API):
        assert refused(policies[role], made[role]) == [], role
        assert unused(of_serving(policies[role]), made[role], ()) == [], role
    same = [_actions(of_serving(policies[role])) for role in (ASKING, "OutcropServing RunResponse")]
    assert same[0] == same[1]


@pytest.mark.parametrize("stack", ["OutcropServing", "OutcropWorkflow"])
def test_bedrock_reads_the_merged_weights_that_it_is_told_of_and_nothing_else(
    deployed: Account, bedrock: FakeBedrock, stack: str
) -> None:
    """It takes the role that the call names."""
    policy = deployed.policies()[f"{stack} Import"]
    model = a_tuned_model()
    bucket = "arn:aws:s3:::outcrop-bucket"

    made = {Request("s3:GetObject", f"{bucket}/{model.merged_key}{name}") for name in FILES}
    made.add(Request("s3:ListBucket", bucket))

    assert refused(policy, made) == []
    assert unused(policy, made, ()) == []
    assert not policy.allows("s3:GetObject", f"{bucket}/{model.adapter_key}")


def test_models_that_others_imported_are_out_of_reach(deployed: Account) -> None:
    theirs = "arn:aws:bedrock:us-west-2:123456789012:imported-model/somebody-elses"

    for policy in deployed.policies().values():
        for action in ("InvokeModelWithResponseStream", "DeleteImportedModel"):
            assert not policy.allows(f"bedrock:{action}", theirs)


def _actions(policy: Policy) -> set[str]:
    return {action for one in policy.statements for action in one["Action"]}
