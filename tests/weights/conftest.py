"""A hub on loopback with a small model, and the sync's steps called as its state machine calls them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import moto.s3.models
import pytest

from lambdas.workflow import fetch_weights, list_weights, publish_weights
from local import assembly
from outcrop import base_models, s3_keys
from outcrop.base_models import BaseModel
from outcrop.settings import settings
from outcrop.stores.clients import s3
from tests.account import BUCKET, Account
from tests.fakes import hugging_face
from tests.fakes.hugging_face import HuggingFace

PART = 64 * 1024
SHARD = bytes(range(256)) * 1024  # four parts
INDEX = b'{"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
FILES = {
    "model-1.safetensors": SHARD,
    "model-2.safetensors": SHARD[: PART + 1000][::-1],
    "model.safetensors.index.json": INDEX,
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "LICENSE": b"Apache License",
    "README.md": b"# A model",
    "pytorch_model.bin": b"pickled",
    "model.gguf": b"GGUF",
    "original/model.safetensors": b"the same",
}
WANTED = sorted(FILES.keys() - {"README.md", "pytorch_model.bin", "model.gguf", "original/model.safetensors"})
LARGE = {"model-1.safetensors", "model-2.safetensors", "pytorch_model.bin", "model.gguf"}


class Killed(Exception):
    """The machine of a function went away."""


@dataclass
class Sync:
    """`run` it to its end: the problem it ends with, or an empty string."""

    model: BaseModel
    seconds_left: Callable[[], float] = lambda: 900.0
    waits: list[int] = field(default_factory=list)
    """Seconds that the state machine would have waited."""
    notes: list[str] = field(default_factory=list)
    calls: int = 0
    running: Callable[[str], AbstractContextManager[None]] = lambda step: nullcontext()
    """Around every call of a step (`list_weights`, ...)."""

    def run(self) -> str:
        plan: dict[str, Any] = {"tries": 0, "wait": 1}
        while plan["wait"]:
            plan = self._call(list_weights.handler, tries=plan["tries"])
            self.waits += [plan["wait"]] if plan["wait"] else []
        if plan["problem"]:
            return plan["problem"]
        fetched = [self.fetch(file) for file in plan["files"]]
        return self._call(publish_weights.handler, files=plan["files"], fetched=fetched)["problem"]

    def fetch(self, file: dict[str, Any]) -> dict[str, Any]:
        step: dict[str, Any] = {"tries": 0, "use_mirror": True, "done": False}
        crashes = 0
        while not step["done"]:
            given = {"tries": step["tries"], "use_mirror": step["use_mirror"]}
            try:
                step = self._call(fetch_weights.handler, file=file, **given)
            except Killed:
                crashes += 1
                if crashes > 5:
                    return {"problem": f"{file['path']}: the function that fetches it failed (Killed)."}
                continue
            self.waits += [step["wait"]] if step["wait"] else []
            self.notes += [step["note"]] if step["note"] else []
        return step

    def _call(self, handler: Any, **event: Any) -> dict[str, Any]:
        self.calls += 1
        context = SimpleNamespace(
            function_name="weights",
            memory_limit_in_mb=1792,
            invoked_function_arn="arn:aws:lambda:us-west-2:123456789012:function:weights",
            aws_request_id="1",
            get_remaining_time_in_millis=lambda: self.seconds_left() * 1000,
        )
        with self.running(handler.__module__.rpartition(".")[2]):
            return handler({"model": self.model.id, "revision": self.model.revision, **event}, context)


@pytest.fixture(scope="session")
def weights_template() -> dict[str, Any]:
    """The resources of OutcropWeights, synthesized."""
    return dict(assembly.templates(assembly.synthesize(["tiny-caps"])))["OutcropWeights"]["Resources"]


@pytest.fixture
def model() -> BaseModel:
    found = base_models.find("smollm2-135m-instruct")
    assert found
    return found


@pytest.fixture
def hub(aws: Account, model: BaseModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFace]:
    """With `FILES`, and an account whose functions fetch from it, in parts of `PART` bytes."""
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", PART // 2)
    assert model.repository and model.revision
    with hugging_face.running(model.repository, model.revision, FILES, LARGE) as hub:
        monkeypatch.setenv("OUTCROP_HUGGING_FACE_URL", hub.hub_url)
        monkeypatch.setenv("OUTCROP_WEIGHTS_PART_BYTES", str(PART))
        monkeypatch.setenv("OUTCROP_WEIGHTS_SOURCE", "huggingface")
        settings.cache_clear()
        yield hub


@pytest.fixture
def sync(hub: HuggingFace, model: BaseModel) -> Sync:
    return Sync(model)


@contextmanager
def time_for_one_part(sync: Sync) -> Iterator[None]:
    """Every step's time is over when it has stored a part."""
    last_stored = 0

    def stored(**_: Any) -> None:
        nonlocal last_stored
        last_stored = sync.calls

    sync.seconds_left = lambda: 60.0 if last_stored == sync.calls else 900.0
    s3().meta.events.register("before-call.s3.UploadPart", stored)
    try:
        yield
    finally:
        s3().meta.events.unregister("before-call.s3.UploadPart", stored)
        sync.seconds_left = lambda: 900.0


def folder(model: BaseModel) -> str:
    return s3_keys.base_model(model.id, model.revision)


def objects(model: BaseModel) -> dict[str, bytes]:
    """What lies below the prefix of its revision, by the rest of the key."""
    client: Any = boto3.client("s3")
    prefix = folder(model)
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        one["Key"].removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        for one in listed
    }


def open_uploads() -> list[str]:
    client: Any = boto3.client("s3")
    return [one["Key"] for one in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def listed(hub: HuggingFace, path: str) -> dict[str, Any]:
    """A file as a plan has it."""
    (entry,) = (one for one in hub.tree() if one["path"] == path)
    checksum = f"sha256:{entry['lfs']['oid']}" if "lfs" in entry else f"git-sha1:{entry['oid']}"
    return {"path": path, "size": entry["size"], "checksum": checksum, "mirror": ""}
