"""JumpStart's copy of the same files: taken where it is the same, and not believed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.settings import settings
from outcrop.stores.clients import client
from tests.fakes.hugging_face import HuggingFace
from tests.weights.conftest import FILES, LARGE, WANTED, Sync, objects, open_uploads

BIG = "model-1.safetensors"
HUB_BUCKET = "jumpstart-cache-prod-us-west-2"
ARTIFACTS = f"s3://{HUB_BUCKET}/huggingface-reasoning/small/artifacts/"


class PublicHub:
    """DescribeHubContent of SageMaker's public hub, which has one model. moto has no such call."""

    def __init__(self) -> None:
        self.document = json.dumps({"HostingArtifactUri": ARTIFACTS})
        self.refuses: str | None = None
        self.asked: list[str] = []
        self.model = client("sagemaker").meta.service_model.operation_model("DescribeHubContent")

    def __call__(self, params: dict[str, Any], **_: Any) -> Any:
        request = json.loads(params["body"])
        report = ParamValidator().validate(request, self.model.input_shape)
        assert not report.has_errors(), report.generate_report()
        self.asked.append(request["HubContentName"])
        if self.refuses:
            error = {"Code": self.refuses, "Message": "No."}
            return SimpleNamespace(status_code=400), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
        content = {"HubContentName": request["HubContentName"], "HubContentDocument": self.document}
        return SimpleNamespace(status_code=200), content | {"ResponseMetadata": {"HTTPStatusCode": 200}}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> BaseModel:
    """One that JumpStart has."""
    found = base_models.find("smollm2-135m-instruct")
    assert found
    known = replace(found, jumpstart="huggingface-reasoning-small")
    monkeypatch.setattr(base_models, "CATALOGUE", (known,))
    return known


@pytest.fixture
def public_hub(hub: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublicHub]:
    monkeypatch.setenv("OUTCROP_WEIGHTS_SOURCE", "auto")
    settings.cache_clear()
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=HUB_BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for path in LARGE & set(WANTED):
        s3.put_object(
            Bucket=HUB_BUCKET, Key=ARTIFACTS.removeprefix(f"s3://{HUB_BUCKET}/") + path, Body=FILES[path]
        )
    public_hub = PublicHub()
    events = client("sagemaker").meta.events
    events.register("before-call.sagemaker.DescribeHubContent", public_hub)
    yield public_hub
    events.unregister("before-call.sagemaker.DescribeHubContent", public_hub)


def put(path: str, content: bytes) -> None:
    s3: Any = boto3.client("s3")
    s3.put_object(Bucket=HUB_BUCKET, Key=ARTIFACTS.removeprefix(f"s3://{HUB_BUCKET}/") + path, Body=content)


def sources(model: BaseModel) -> dict[str, str]:
    return {file["path"]: file["source"] for file in json.loads(objects(model)["manifest.json"])["files"]}


def test_files_that_jumpstart_has_are_copied_and_not_fetched(
    sync: Sync, hub: HuggingFace, public_hub: PublicHub, model: BaseModel
) -> None:
    problem = sync.run()

    copied = {path for path, source in sources(model).items() if source == "jumpstart"}
    assert problem == ""
    assert public_hub.asked == ["huggingface-reasoning-small"]
    assert copied == LARGE & set(WANTED)
    assert hub.sent.keys() == set(WANTED) - copied
    assert {path: content for path, content in objects(model).items() if path in FILES} == {
        path: FILES[path] for path in WANTED
    }


def test_a_copy_with_other_content_is_not_taken(
    sync: Sync, hub: HuggingFace, public_hub: PublicHub, model: BaseModel
) -> None:
    put(BIG, FILES[BIG][::-1])

    problem = sync.run()

    assert problem == ""
    assert sources(model)[BIG] == "huggingface"
    assert objects(model)[BIG] == FILES[BIG]
    assert sync.notes == [f"{BIG}: what lay in the bucket (jumpstart) is another file."]


@pytest.mark.parametrize("refuses", ["ResourceNotFound", "AccessDeniedException"])
def test_without_a_copy_the_weights_come_from_hugging_face(
    sync: Sync, public_hub: PublicHub, model: BaseModel, refuses: str
) -> None:
    public_hub.refuses = refuses

    assert sync.run() == ""
    assert set(sources(model).values()) == {"huggingface"}


@pytest.mark.parametrize(
    "document",
    ["", "{}", '{"HostingArtifactUri": null}', '{"HostingArtifactUri": "s3://elsewhere/model.tar.gz"}'],
)
def test_a_document_that_names_no_folder_is_no_copy(
    sync: Sync, public_hub: PublicHub, model: BaseModel, document: str
) -> None:
    public_hub.document = document

    assert sync.run() == ""
    assert set(sources(model).values()) == {"huggingface"}


def test_a_bucket_that_does_not_let_us_read_it_is_no_copy(
    sync: Sync, public_hub: PublicHub, model: BaseModel
) -> None:
    public_hub.document = json.dumps({"HostingArtifactUri": "s3://gone-cache-prod-us-west-2/model/"})

    assert sync.run() == ""
    assert set(sources(model).values()) == {"huggingface"}


def test_where_weights_must_come_from_jumpstart_hugging_face_sends_none(
    sync: Sync, hub: HuggingFace, public_hub: PublicHub, model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_WEIGHTS_SOURCE", "jumpstart")
    settings.cache_clear()
    put(BIG, FILES[BIG][::-1])

    other_content = sync.run()
    put(BIG, b"short")
    other_size = sync.run()

    assert (
        other_content
        == f"{BIG}: what lay in the bucket (jumpstart) is another file. And weights_source is jumpstart."
    )
    assert other_size == (
        "weights_source is jumpstart, which does not have these weights. "
        f"The list of files there has no {BIG} of that size."
    )
    assert BIG not in hub.sent
    assert open_uploads() == []
