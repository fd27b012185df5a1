"""What the functions of a sync may do is what syncs need: whole ones, broken ones, and from either source."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import boto3
import pytest

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.stores.clients import s3
from scripts import synthesis
from stacks.deployment import Deployment
from tests.account import BUCKET, Account
from tests.fakes.hugging_face import Fault, HuggingFace
from tests.stacks import iam
from tests.stacks.iam import Policy
from tests.stacks.role_calls import Recorder
from tests.stacks.used import BY_LAMBDA, refused, unused
from tests.weights.conftest import FILES, Sync, folder, objects, time_for_one_part
from tests.weights.test_weights_sources import (  # noqa: F401 - the fixture
    ARTIFACTS,
    BIG,
    HUB_BUCKET,
    PublicHub,
    public_hub,
    put,
)

ROLES = {
    "list_weights": "OutcropWeights ListWeights",
    "fetch_weights": "OutcropWeights FetchWeights",
    "publish_weights": "OutcropWeights PublishWeights",
}
OTHER_HUB_BUCKET = "jumpstart-private-cache-prod-us-west-2"
IN_JUMPSTART = [one.jumpstart for one in Deployment().models if one.jumpstart]


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    """Of a deployment whose settings are the defaults, as docs/roles.md."""
    return iam.Account(synthesis.templates()).policies()


@pytest.fixture
def recorder(aws: Account) -> Iterator[Recorder]:
    recorder = Recorder()
    with recorder.listening():
        yield recorder


def known_to_jumpstart_as(name: str, model: BaseModel, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(base_models, "CATALOGUE", (replace(model, jumpstart=name),))


def forget(model: BaseModel) -> None:
    for path in objects(model):
        s3().delete_object(Bucket=BUCKET, Key=f"{folder(model)}{path}")


def from_the_other_bucket(hub: PublicHub) -> None:
    there = ARTIFACTS.replace(HUB_BUCKET, OTHER_HUB_BUCKET)
    hub.document = hub.document.replace(ARTIFACTS, there)
    client = boto3.client("s3")
    client.create_bucket(
        Bucket=OTHER_HUB_BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    key = there.removeprefix(f"s3://{OTHER_HUB_BUCKET}/") + BIG
    client.put_object(Bucket=OTHER_HUB_BUCKET, Key=key, Body=FILES[BIG])


def test_syncs_need_what_their_functions_may_do_and_no_more(
    recorder: Recorder,
    policies: dict[str, Policy],
    sync: Sync,
    hub: HuggingFace,
    public_hub: PublicHub,  # noqa: F811 - the fixture
    model: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def running(step: str) -> AbstractContextManager[None]:
        if step == "publish_weights":  # an upload was begun, and lost
            s3().create_multipart_upload(Bucket=BUCKET, Key=f"{folder(model)}{BIG}")
        return recorder.acting_as(ROLES[step])

    sync.running = running
    for name in IN_JUMPSTART:
        known_to_jumpstart_as(name, model, monkeypatch)
        assert sync.run() == ""
        forget(model)
    for path in (BIG, "model-2.safetensors"):  # other files than those that are listed
        put(path, FILES[path][::-1])
    hub.faults = [Fault("corrupt", "model-2.safetensors")]
    assert "its content is not the one listed" in sync.run()
    s3().put_object(Bucket=BUCKET, Key=f"{folder(model)}of-nobody.safetensors", Body=b"old")
    assert sync.run() == ""
    forget(model)
    from_the_other_bucket(public_hub)
    with time_for_one_part(sync):
        assert sync.run() == ""

    for role in ROLES.values():
        assert refused(policies[role], recorder.made[role]) == [], role
        assert unused(policies[role], recorder.made[role], BY_LAMBDA) == [], role
