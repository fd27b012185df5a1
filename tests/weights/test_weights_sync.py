"""A sync of base weights: what it brings, what it leaves behind, and what it does not fetch twice."""

import hashlib
import json
from typing import Any

import boto3
import pytest

from outcrop.base_models import BaseModel
from outcrop.operations import weights
from outcrop.settings import settings
from outcrop.stores import secrets
from outcrop.stores.clients import s3
from tests.account import BUCKET
from tests.fakes.hugging_face import HuggingFace
from tests.weights.conftest import (
    FILES,
    SHARD,
    WANTED,
    Killed,
    Sync,
    folder,
    listed,
    objects,
    open_uploads,
    time_for_one_part,
)

BIG = "model-1.safetensors"


def test_the_files_that_training_needs_come_and_the_manifest_says_what_they_are(
    sync: Sync, model: BaseModel
) -> None:
    problem = sync.run()

    found = objects(model)
    manifest = json.loads(found.pop("manifest.json"))
    assert problem == ""
    assert found == {path: FILES[path] for path in WANTED}
    assert (manifest["repository"], manifest["revision"]) == (model.repository, model.revision)
    assert manifest["license"] == "Apache-2.0"
    assert [(file["path"], file["size"], file["sha256"]) for file in manifest["files"]] == [
        (path, len(FILES[path]), hashlib.sha256(FILES[path]).hexdigest()) for path in WANTED
    ]
    assert weights.status(model).state == "complete"
    assert open_uploads() == []


def test_what_is_there_is_not_fetched_again(sync: Sync, hub: HuggingFace) -> None:
    sync.run()
    sent = dict(hub.sent)

    problem = sync.run()

    assert (problem, hub.sent) == ("", sent)


def test_a_file_that_somebody_has_put_there_is_read_and_not_fetched(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    client: Any = boto3.client("s3")
    client.put_object(Bucket=BUCKET, Key=f"{folder(model)}{BIG}", Body=SHARD)
    client.put_object(Bucket=BUCKET, Key=f"{folder(model)}config.json", Body=b'{"model_type": "other"}')
    client.put_object(Bucket=BUCKET, Key=f"{folder(model)}old.safetensors", Body=b"of somebody")

    problem = sync.run()

    assert problem == ""
    assert BIG not in hub.sent
    assert objects(model)["config.json"] == FILES["config.json"]
    assert "old.safetensors" not in objects(model)
    assert sync.notes == ["config.json: what lay in the bucket (elsewhere) is another file."]


def test_an_empty_file_is_a_file(sync: Sync, hub: HuggingFace, model: BaseModel) -> None:
    hub.files["merges.txt"] = b""

    assert sync.run() == ""
    assert objects(model)["merges.txt"] == b""


def test_a_list_on_several_pages_is_read_to_its_end(sync: Sync, hub: HuggingFace, model: BaseModel) -> None:
    hub.page_size = 2

    assert sync.run() == ""
    assert objects(model).keys() == {*WANTED, "manifest.json"}


def test_a_step_that_runs_out_of_time_leaves_the_rest_to_the_next(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    with time_for_one_part(sync):
        problem = sync.run()

    starts = hub.starts(BIG)
    assert problem == ""
    assert objects(model)[BIG] == SHARD
    assert len(starts) > 2
    assert starts == sorted(set(starts))


def test_after_a_kill_no_part_is_fetched_twice(sync: Sync, hub: HuggingFace, model: BaseModel) -> None:
    stored: list[int] = []

    def kill_before_the_third_part(params: dict[str, Any], **_: Any) -> None:
        if len(stored) == 2:
            stored.append(0)
            raise Killed
        stored.append(params["body"].getbuffer().nbytes)

    events = s3().meta.events
    events.register("before-call.s3.UploadPart", kill_before_the_third_part)
    step = sync.fetch(listed(hub, BIG))
    events.unregister("before-call.s3.UploadPart", kill_before_the_third_part)

    assert step["problem"] == ""
    assert hub.starts(BIG) == [0, stored[0] + stored[1]]
    assert sum(stored) == len(SHARD)
    assert objects(model) == {BIG: SHARD}
    assert open_uploads() == []


def test_a_step_that_is_killed_before_it_marks_a_file_leaves_nothing_to_fetch(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    killed: list[bool] = []

    def kill_once(**_: Any) -> None:
        if not killed:
            killed.append(True)
            raise Killed

    s3().meta.events.register("before-call.s3.PutObjectTagging", kill_once)
    step = sync.fetch(listed(hub, BIG))
    s3().meta.events.unregister("before-call.s3.PutObjectTagging", kill_once)

    assert (step["problem"], step["file"]["source"]) == ("", "huggingface")
    assert hub.starts(BIG) == [0]


def test_a_step_that_runs_twice_at_once_makes_one_file(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    def kill(**_: Any) -> None:
        raise Killed

    def run_a_twin_that_does_not_finish(**_: Any) -> None:
        s3().meta.events.unregister("before-call.s3.UploadPart", run_a_twin_that_does_not_finish)
        s3().meta.events.register("before-call.s3.CompleteMultipartUpload", kill)
        assert "failed (Killed)" in Sync(model).fetch(file)["problem"]
        s3().meta.events.unregister("before-call.s3.CompleteMultipartUpload", kill)

    file = listed(hub, BIG)
    s3().meta.events.register("before-call.s3.UploadPart", run_a_twin_that_does_not_finish)
    step = sync.fetch(file)

    assert step["problem"] == ""
    assert objects(model)[BIG] == SHARD
    assert open_uploads() == []


def test_an_upload_that_was_begun_and_lost_is_closed_at_the_end(sync: Sync, model: BaseModel) -> None:
    client: Any = boto3.client("s3")
    key = f"{folder(model)}{BIG}"

    def begin_another(**_: Any) -> None:
        s3().meta.events.unregister("before-call.s3.CreateMultipartUpload", begin_another)
        client.create_multipart_upload(Bucket=BUCKET, Key=key)

    s3().meta.events.register("before-call.s3.CreateMultipartUpload", begin_another)

    assert sync.run() == ""
    assert open_uploads() == []


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    sync: Sync, hub: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = boto3.client("secretsmanager")
    arn = client.create_secret(Name="hugging-face", SecretString="hf_secret\n")["ARN"]
    monkeypatch.setenv("OUTCROP_HUGGING_FACE_SECRET", arn)
    settings.cache_clear()
    secrets.text.cache_clear()

    problem = sync.run()

    assert problem == ""
    assert {one.authorization for one in hub.requests if one.server == "hub"} == {"Bearer hf_secret"}
    assert {one.authorization for one in hub.requests if one.server == "cdn"} == {None}


def test_a_secret_that_cannot_be_read_is_named(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:gone-AbCdEf"
    monkeypatch.setenv("OUTCROP_HUGGING_FACE_SECRET", arn)
    settings.cache_clear()

    assert sync.run() == f"The secret {arn} cannot be read (ResourceNotFoundException)."
