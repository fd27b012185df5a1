"""Revisions of base weights that nothing uses any more are found, and deleted if asked; others stay."""

import pytest
import time_machine

from outcrop import base_models, s3_keys
from outcrop.operations.reconcile import weights, whole
from outcrop.operations.reconcile.finding import Finding
from outcrop.settings import settings
from outcrop.stores.clients import client
from outcrop.stores.objects import ObjectStore
from tests import factories
from tests.factories import PROJECT
from tests.operations.test_reconcile import clock

__all__ = ["clock"]  # a fixture
MODEL = "smollm2-135m-instruct"
DAY = 24 * 3600


def a_revision(revision: str, *files: str) -> str:
    prefix = s3_keys.base_model(MODEL, revision)
    for name in files or ("config.json", "manifest.json"):
        ObjectStore().put(prefix + name, b"{}")
    return prefix


def found() -> list[Finding]:
    return [*weights.of_revisions([PROJECT])]


def test_a_revision_that_nothing_uses_is_deleted_a_day_later(clock: time_machine.Traveller) -> None:
    model = base_models.find(MODEL)
    assert model and model.revision
    pinned, old = a_revision(model.revision), a_revision("a" * 40)
    assert found() == []
    clock.shift(DAY)

    (finding,) = found()
    assert whole.repaired(finding).error is None

    assert finding.about == f"weights {old}"
    assert ObjectStore().list("models/") == [f"{pinned}config.json", f"{pinned}manifest.json"]


def test_a_revision_is_kept_for_as_long_as_a_job_trains_it(clock: time_machine.Traveller) -> None:
    a_revision("a" * 40)
    a_revision("b" * 40)
    factories.a_job(model=MODEL, status="paused", base_revision="a" * 40)
    factories.a_job(model=MODEL, status="succeeded", base_revision="b" * 40)
    clock.shift(DAY)

    assert [one.about for one in found()] == [f"weights models/{MODEL}/{'b' * 40}/"]


def test_a_revision_is_kept_for_as_long_as_an_endpoint_serves_it(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_SERVING", "sagemaker")
    settings.cache_clear()
    prefix = a_revision("a" * 40)
    data = {"S3Uri": f"s3://outcrop-bucket/{prefix}", "S3DataType": "S3Prefix", "CompressionType": "None"}
    client("sagemaker").create_model(
        ModelName="outcrop-smollm2-135m-instruct-0a1b2c3d",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/endpoints",
        PrimaryContainer={"Image": "vllm", "ModelDataSource": {"S3DataSource": data}},
    )
    clock.shift(DAY)

    assert found() == []


def test_weights_that_somebody_has_put_there_are_only_told(clock: time_machine.Traveller) -> None:
    prefix = a_revision("of-last-year", "config.json", "model.safetensors")
    clock.shift(DAY)

    (finding,) = found()

    assert finding.repair is None
    assert f"aws s3 rm --recursive s3://outcrop-bucket/{prefix}" in finding.says
