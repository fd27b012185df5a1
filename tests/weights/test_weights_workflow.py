"""The state machine of a sync, as it is synthesized, on emulated Step Functions with the real steps."""

import importlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core.config import default_user_config

from local import moto_patches
from outcrop.base_models import BaseModel
from outcrop.operations import weights
from outcrop.settings import settings
from tests.account import Account
from tests.fakes.hugging_face import Fault, HuggingFace
from tests.weights import weights_machine
from tests.weights.conftest import WANTED, folder, objects, open_uploads
from tests.workflow.training import ScriptedTrainingJobs

_SECONDS = 30


@dataclass
class Machine:
    handlers: dict[str, str]
    before: Callable[[str, dict[str, Any]], None] = lambda step, event: None
    """Called with the module of every step, and its event, before it runs."""

    def invoke(self, function: str, payload: bytes) -> tuple[bytes, bool]:
        module = self.handlers[function].rpartition(".")[0]
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=1792,
            invoked_function_arn=f"arn:aws:lambda:us-west-2:123456789012:function:{function}",
            aws_request_id="1",
            get_remaining_time_in_millis=lambda: 900_000,
        )
        try:
            self.before(module.rpartition(".")[2], json.loads(payload))
            answer = importlib.import_module(module).handler(json.loads(payload), context)
        except Exception as error:  # as Lambda reports whatever a handler raises
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode(), True
        return json.dumps(answer).encode(), False


@pytest.fixture
def machine(
    aws: Account, hub: HuggingFace, weights_template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    for service, options in moto_patches.CONFIG.items():
        monkeypatch.setitem(default_user_config, service, options)  # pyright: ignore[reportArgumentType]
    machine = Machine(weights_machine.handlers(weights_template))
    moto_patches.install(
        invoke=machine.invoke,
        training_jobs=ScriptedTrainingJobs(),  # pyright: ignore[reportArgumentType]
    )
    monkeypatch.setenv("OUTCROP_WEIGHTS_WORKFLOW_ARN", weights_machine.create(weights_template))
    settings.cache_clear()
    yield machine


def sync(model: BaseModel) -> weights.Weights:
    """Start a sync, and say what there is when it has ended."""
    weights.ensure(model)
    deadline = time.monotonic() + _SECONDS
    while (found := weights.status(model)).state == "syncing":
        if time.monotonic() > deadline:
            raise TimeoutError(f"The sync {found.sync} does not end.")
        time.sleep(0.02)
    return found


def test_a_sync_ends_with_the_weights_in_the_bucket(machine: Machine, model: BaseModel) -> None:
    assert weights.status(model).state == "absent"

    found = sync(model)

    assert found.state == "complete"
    assert objects(model).keys() == {*WANTED, "manifest.json"}
    assert open_uploads() == []


def test_throttling_is_waited_out(machine: Machine, hub: HuggingFace, model: BaseModel) -> None:
    hub.faults = [
        Fault("throttled", "tree", seconds=1),
        Fault("throttled", "model-1.safetensors", times=3, seconds=1),
    ]

    assert sync(model).state == "complete"


def test_every_file_that_cannot_be_had_is_named(machine: Machine, hub: HuggingFace, model: BaseModel) -> None:
    hub.faults = [Fault("corrupt", "model-1.safetensors"), Fault("wrong_length", "config.json")]

    found = sync(model)

    assert found.state == "failed"
    assert "model-1.safetensors: its content is not the one listed" in found.reason
    assert "config.json: 22 bytes are sent, 23 are listed." in found.reason
    assert "manifest.json" not in objects(model)
    assert open_uploads() == []


def test_a_list_that_cannot_be_had_is_the_reason(
    machine: Machine, hub: HuggingFace, model: BaseModel
) -> None:
    hub.faults = [Fault("missing", "tree")]

    found = sync(model)

    assert found.state == "failed"
    assert found.reason.startswith("The list of files: 127.0.0.1 does not have it at revision 12fd25f7")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        pytest.param("list_weights", "out of memory", marks=pytest.mark.slow),
        ("fetch_weights", "model-1.safetensors: the function that fetches it failed (RuntimeError)."),
        pytest.param("publish_weights", "out of memory", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_always_crashes_fails_the_sync_with_a_reason(
    machine: Machine, model: BaseModel, step: str, said: str
) -> None:
    def crash(module: str, event: dict[str, Any]) -> None:
        if (
            module == step
            and event.get("file", {}).get("path", "model-1.safetensors") == "model-1.safetensors"
        ):
            raise RuntimeError("out of memory")

    machine.before = crash

    found = sync(model)

    assert found.state == "failed"
    assert said in found.reason
    assert "manifest.json" not in objects(model)
    assert open_uploads() == []


def test_a_sync_that_failed_can_be_tried_again(machine: Machine, hub: HuggingFace, model: BaseModel) -> None:
    hub.faults = [Fault("corrupt", "model-1.safetensors")]
    first = sync(model)

    second = sync(model)

    assert (first.state, first.sync) == ("failed", f"{model.id}-12fd25f77366-1")
    assert second.state == "complete"


def test_however_many_ask_for_weights_they_are_fetched_once(
    machine: Machine, hub: HuggingFace, model: BaseModel
) -> None:
    names = {weights.ensure(model).sync for _ in range(3)}

    assert names == {f"{model.id}-12fd25f77366-1"}
    assert sync(model).state == "complete"
    assert hub.starts("model-1.safetensors") == [0]


@pytest.mark.slow
def test_weights_that_were_deleted_are_absent_and_come_again(machine: Machine, model: BaseModel) -> None:
    sync(model)
    client: Any = boto3.client("s3")
    client.delete_object(Bucket=settings().bucket, Key=f"{folder(model)}manifest.json")

    absent = weights.status(model)

    assert absent.state == "absent"
    assert absent.explanation.endswith(f"`outcrop models sync {model.id}` fetches them.")
    assert sync(model).state == "complete"
