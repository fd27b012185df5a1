"""What serving on SageMaker makes in the account, and what its functions may do: all that a life of an
endpoint takes, and nothing else."""

import asyncio
from typing import Any

import pytest
from openai import OpenAI

from outcrop import s3_keys
from outcrop.serving import tuned_models
from outcrop.serving.sagemaker_tending import UNUSED_SECONDS, tend
from outcrop.stores.models import ModelStore
from outcrop.types.model import ServedModel, as_served
from scripts import synthesis
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker
from tests.serving.conftest import MakeTuned, adapter, ask, configure
from tests.serving.test_lifetimes import ask_and_leave
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder, Request
from tests.stacks.used import BY_LAMBDA, BY_SAGEMAKER, refused, unused

Stacks = dict[str, dict[str, Any]]
HOSTING = ("sagemaker:", "application-autoscaling:", "cloudwatch:", "iam:")
"""What serving takes. What the same functions do beside it: see tests/stacks/test_used_*.py."""


@pytest.fixture(scope="module")
def stacks() -> Stacks:
    """A deployment whose settings are the defaults, as docs/roles.md."""
    return synthesis.templates()


@pytest.fixture(scope="module")
def policies(stacks: Stacks) -> dict[str, Policy]:
    return Account(stacks).policies()


def served_model(id: str) -> ServedModel:
    model = ModelStore("acme").get(id)
    assert model
    return as_served(model)


def of_serving(policy: Policy) -> Policy:
    own = [
        one | {"Action": [action for action in one["Action"] if action.startswith(HOSTING)]}
        for one in policy.statements
    ]
    return Policy(tuple(own))


def test_the_life_of_an_endpoint_needs_what_its_functions_may_do_and_no_more(
    policies: dict[str, Policy],
    stacks: Stacks,
    client: OpenAI,
    sagemaker: FakeSageMaker,
    a_tuned_model: MakeTuned,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role = Account(stacks).arn("OutcropServing", "EndpointsEndpointRole")
    configure(monkeypatch, OUTCROP_SERVING_ROLE_ARN=role)
    recorder, inference, tending = Recorder(), "OutcropServing Inference", "OutcropServing EndpointsTend"
    model = a_tuned_model()

    with recorder.listening():
        with recorder.acting_as(inference):
            ask(client, model)
            clock.move(3600)
            ask(client, model)
            configure(monkeypatch, OUTCROP_SERVING_IMAGE="another")
            clock.move(3600)
            ask(client, model)
        for _ in range(4):
            clock.move(UNUSED_SECONDS)
            tend(int(clock.now()))
        asyncio.run(ask_and_leave(sagemaker, served_model(model)))
        with recorder.acting_as(tending):
            for _ in range(4):
                clock.move(60)
                tend(int(clock.now()))
            for _ in range(4):
                clock.move(UNUSED_SECONDS)
                tend(int(clock.now()))

    assert not sagemaker.endpoints
    for name in (inference, tending):
        assert refused(policies[name], recorder.made[name]) == []
    assert unused(of_serving(policies[inference]), recorder.made[inference], ()) == []
    assert unused(policies[tending], recorder.made[tending], BY_LAMBDA) == []


def test_a_model_that_is_made_or_deleted_needs_what_the_workflow_and_the_api_may_and_no_more(
    policies: dict[str, Policy],
    client: OpenAI,
    sagemaker: FakeSageMaker,
    a_tuned_model: MakeTuned,
    clock: FakeClock,
) -> None:
    recorder = Recorder()
    making, deleting = "OutcropWorkflow RegisterModel", "OutcropApi Api"
    ask(client)  # so that the base model is awake

    with recorder.listening():
        made = served_model(a_tuned_model())
        with recorder.acting_as(making):
            tuned_models.made(made)
            sagemaker.components[adapter()].failure = "It could not be loaded."
            clock.move(60)
            tuned_models.made(made)
        clock.move(60)
        with recorder.acting_as(deleting):
            tuned_models.deleted(made)

    for role in (making, deleting):
        own = Policy(tuple(one for one in of_serving(policies[role]).statements if is_of_endpoints(one)))
        assert refused(policies[role], recorder.made[role]) == [], role
        assert unused(own, recorder.made[role], ()) == [], role


def is_of_endpoints(statement: dict[str, Any]) -> bool:
    return any("TrainingJob" not in action for action in statement["Action"])


def test_an_endpoint_reads_what_it_is_given_and_its_service_does_the_rest(
    policies: dict[str, Policy],
    stacks: Stacks,
    client: OpenAI,
    sagemaker: FakeSageMaker,
    a_tuned_model: MakeTuned,
) -> None:
    """SageMaker fetches them with the endpoint's role, from where models and components say."""
    policy = policies["OutcropServing EndpointsEndpoint"]
    ask(client, a_tuned_model())
    (container,) = (one["PrimaryContainer"] for one in sagemaker.models.values())
    weights = container["ModelDataSource"]["S3DataSource"]["S3Uri"]
    archive = sagemaker.components[adapter()].artifact

    read = [f"{weights}config.json", archive]
    made = {Request("s3:GetObject", uri.replace("s3://", "arn:aws:s3:::")) for uri in read}
    made.add(Request("s3:ListBucket", "arn:aws:s3:::outcrop-bucket"))

    assert refused(policy, made) == []
    assert unused(policy, made, BY_SAGEMAKER) == []


def test_what_tends_endpoints_makes_none_and_asks_none(policies: dict[str, Policy]) -> None:
    def hosting(name: str) -> set[str]:
        return {action for one in of_serving(policies[name]).statements for action in one["Action"]}

    making = {f"sagemaker:Create{kind}" for kind in ("Endpoint", "EndpointConfig", "Model")}
    asking = {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}
    waking = {"sagemaker:UpdateInferenceComponentRuntimeConfig", "iam:PassRole"}

    inference = hosting("OutcropServing Inference")
    assert inference - hosting("OutcropServing EndpointsTend") == making | asking | waking
    assert hosting("OutcropServing RunResponse") == inference


@pytest.mark.parametrize("kind", ["endpoint", "endpoint-config", "inference-component", "model"])
@pytest.mark.parametrize("call", ["Create", "Delete", "Describe", "Update", "Invoke"])
def test_others_endpoints_are_out_of_reach(policies: dict[str, Policy], kind: str, call: str) -> None:
    theirs = f"arn:aws:sagemaker:us-west-2:123456789012:{kind}/somebody-elses"
    name = "".join(part.capitalize() for part in kind.split("-"))

    for policy in policies.values():
        assert not policy.allows(f"sagemaker:{call}{name}", theirs)


def test_a_role_is_passed_to_sagemaker_alone_and_it_is_the_endpoints(
    policies: dict[str, Policy], stacks: Stacks
) -> None:
    role = Account(stacks).arn("OutcropServing", "EndpointsEndpointRole")
    inference = policies["OutcropServing Inference"]

    assert inference.allows("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"})
    assert not inference.allows("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
    assert not inference.allows(
        "iam:PassRole", role + "2", {"iam:PassedToService": "sagemaker.amazonaws.com"}
    )


def test_an_endpoint_reads_weights_and_adapters_and_nothing_else(policies: dict[str, Policy]) -> None:
    endpoint = policies["OutcropServing EndpointsEndpoint"]
    bucket = "arn:aws:s3:::outcrop-bucket"

    for key in (
        f"{s3_keys.base_model('qwen.qwen3-32b', '9216db5')}config.json",
        "projects/acme/jobs/ftjob-1/adapters/step-000005.tar.gz",
    ):
        assert endpoint.allows("s3:GetObject", f"{bucket}/{key}")
        assert not endpoint.allows("s3:PutObject", f"{bucket}/{key}")
    for key in ("projects/acme/files/file-1", "projects/acme/jobs/ftjob-1/rollouts/step-000001.jsonl"):
        assert not endpoint.allows("s3:GetObject", f"{bucket}/{key}")
