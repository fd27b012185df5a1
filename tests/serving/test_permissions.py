"""What serving on SageMaker makes in the account, and what its functions may do: all that a life of an
endpoint takes, and nothing else."""

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template
from openai import OpenAI

from outcrop.serving.sagemaker_tending import UNUSED_SECONDS, tend
from stacks.deployment import Deployment
from stacks.serving import ServingStack
from stacks.storage import StorageStack
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker
from tests.serving.conftest import MakeTuned, ask, configure
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder
from tests.stacks.used import BY_LAMBDA, refused, unused

Stacks = dict[str, dict[str, Any]]
OF_OTHERS = ("dynamodb:", "s3:", "states:")
"""What the functions do beside serving: see test_used_permissions."""


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    out = str(tmp_path_factory.mktemp("out"))
    app = cdk.App(outdir=out, context={"aws:cdk:bundling-stacks": [], "models": ["qwen.qwen3-32b"]})
    deployment = Deployment.from_context(app.node)
    storage = StorageStack(app, "OutcropStorage", deployment=deployment)
    serving = ServingStack(app, "OutcropServing", deployment=deployment, storage=storage)
    return {one.stack_name: dict(Template.from_stack(one).to_json()) for one in (storage, serving)}


@pytest.fixture(scope="module")
def policies(stacks: Stacks) -> dict[str, Policy]:
    return Account(stacks).policies()


def of_serving(policy: Policy) -> Policy:
    own = [
        one | {"Action": [action for action in one["Action"] if not action.startswith(OF_OTHERS)]}
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
        with recorder.acting_as(tending):
            for _ in range(4):
                clock.move(UNUSED_SECONDS)
                tend(int(clock.now()))

    assert not sagemaker.endpoints
    for name in (inference, tending):
        assert refused(policies[name], recorder.made[name]) == []
    whole_life = recorder.made[inference] | recorder.made[tending]
    assert unused(of_serving(policies[inference]), whole_life, BY_LAMBDA) == []


def test_what_tends_endpoints_may_do_with_them_what_makes_them_may_and_never_asks_them(
    policies: dict[str, Policy],
) -> None:
    def hosting(name: str) -> set[str]:
        return {
            action
            for one in of_serving(policies[name]).statements
            for action in one["Action"]
            if "Invoke" not in action and not action.startswith("logs:")
        }

    tending = policies["OutcropServing EndpointsTend"]
    endpoint = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/outcrop-qwen-qwen3-32b"

    assert hosting("OutcropServing EndpointsTend") == hosting("OutcropServing Inference")
    assert hosting("OutcropServing RunResponse") == hosting("OutcropServing Inference")
    assert not tending.allows("sagemaker:InvokeEndpoint", endpoint)


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
        "models/qwen.qwen3-32b/config.json",
        "projects/acme/jobs/ftjob-1/adapters/step-000005.tar.gz",
    ):
        assert endpoint.allows("s3:GetObject", f"{bucket}/{key}")
        assert not endpoint.allows("s3:PutObject", f"{bucket}/{key}")
    for key in ("projects/acme/files/file-1", "projects/acme/jobs/ftjob-1/rollouts/step-000001.jsonl"):
        assert not endpoint.allows("s3:GetObject", f"{bucket}/{key}")
