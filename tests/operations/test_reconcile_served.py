"""Inference components and imported models that no model needs any more are found, and deleted if asked."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from outcrop import s3_keys
from outcrop.operations.reconcile import served, whole
from outcrop.stores import deployed
from outcrop.types.model import TunedModel
from tests.command_process import command_process
from tests.fakes.answers import Answers, answering
from tests.operations import healthy

JOB, GONE = "ftjob-" + "1" * 24, "ftjob-" + "2" * 24
MODEL = TunedModel(
    id="ft:tiny-caps:default::11111111",
    created=1,
    base_model="tiny-caps",
    adapter_key=s3_keys.adapter("default", JOB, 10),
    job_id=JOB,
    kind="model",
)


@pytest.fixture
def account() -> Iterator[Answers]:
    answers = Answers()
    healthy.put_rows(answers, healthy.item("P#default#MODEL", MODEL.id, MODEL))
    with command_process(), answering(answers):
        deployed.adopt({"OUTCROP_TABLE": healthy.TABLE, "OUTCROP_SERVING": "sagemaker"})
        yield answers


def a_component(name: str, made_at: datetime) -> dict[str, object]:
    return {
        "InferenceComponentName": name,
        "InferenceComponentArn": f"arn:aws:sagemaker:us-west-2:123456789012:inference-component/{name}",
        "CreationTime": made_at,
        "LastModifiedTime": made_at,
        "EndpointName": "outcrop-tiny-caps",
        "EndpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/outcrop-tiny-caps",
        "VariantName": "outcrop",
    }


def an_import(name: str, made_at: datetime) -> dict[str, object]:
    arn = "arn:aws:bedrock:us-west-2:123456789012:imported-model/abcdefghijkl"
    return {"modelName": name, "modelArn": arn, "creationTime": made_at}


def test_a_component_without_a_model_is_found_and_deleted(account: Answers) -> None:
    long_ago, just_now = datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC)
    account["sagemaker.ListInferenceComponents"] = {
        "InferenceComponents": [
            a_component(f"outcrop-{JOB}-step-000010", long_ago),
            a_component(f"outcrop-{GONE}-step-000010", long_ago),
            a_component(f"outcrop-{GONE}-step-000020", just_now),
            a_component(f"not-outcrop-{GONE}", long_ago),
        ]
    }
    account["sagemaker.DeleteInferenceComponent"] = {}

    (finding,) = served.of_components(["default"])
    assert whole.repaired(finding).error is None

    assert finding.about == f"inference component outcrop-{GONE}-step-000010"
    (asked,) = account.calls("sagemaker.DeleteInferenceComponent")
    assert asked == {"InferenceComponentName": f"outcrop-{GONE}-step-000010"}


def test_an_imported_model_without_a_model_is_found_and_deleted(account: Answers) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    checkpoint = MODEL.model_copy(update={"kind": "checkpoint", "job_id": GONE})
    healthy.put_rows(account, *(healthy.item("P#default#MODEL", one.id, one) for one in (MODEL, checkpoint)))
    names = [f"outcrop-{JOB}", f"outcrop-{GONE}", "outcropping"]
    account["bedrock.ListImportedModels"] = {"modelSummaries": [an_import(one, long_ago) for one in names]}
    account["bedrock.DeleteImportedModel"] = {}

    (finding,) = served.of_imported_models(["default"])
    assert whole.repaired(finding).error is None

    assert finding.about == f"imported model outcrop-{GONE}"
    (asked,) = account.calls("bedrock.DeleteImportedModel")
    assert asked == {"modelIdentifier": an_import(GONE, long_ago)["modelArn"]}


def test_where_nothing_of_aws_serves_nothing_is_asked(account: Answers) -> None:
    deployed.adopt({"OUTCROP_SERVING": "openai_compatible"})

    assert [*served.of_components(["default"]), *served.of_imported_models(["default"])] == []
    assert account.asked == []
