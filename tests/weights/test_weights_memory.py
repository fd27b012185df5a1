"""What a step holds in memory: parts, and not files. A shard of 5 GB in parts of 64 MiB, 64 times smaller."""

import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

from outcrop.settings import settings
from outcrop.stores.clients import s3
from tests.fakes.hugging_face import Fault, HuggingFace
from tests.weights.conftest import Sync, listed

BIG = "model-1.safetensors"
PART = 2**20
PARTS = 80
_STORING = ("UploadPart", "CompleteMultipartUpload", "PutObjectTagging")


def test_a_step_holds_a_few_parts_of_a_file_however_large_it_is(
    sync: Sync, hub: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_WEIGHTS_PART_BYTES", str(PART))
    settings.cache_clear()
    hub.files[BIG] = bytes(PART) * PARTS
    hub.faults = [Fault("dropped", BIG, after=PART * 50 + 7)]
    file = listed(hub, BIG)

    def forget(**_: Any) -> Any:
        """What the emulator would keep in memory."""
        return SimpleNamespace(status_code=200), {"ETag": '"x"', "ResponseMetadata": {"HTTPStatusCode": 200}}

    for operation in _STORING:
        s3().meta.events.register(f"before-call.s3.{operation}", forget)
    tracemalloc.start()
    try:
        step = sync.fetch(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        for operation in _STORING:
            s3().meta.events.unregister(f"before-call.s3.{operation}", forget)

    assert (step["problem"], step["done"]) == ("", True)
    assert hub.sent[BIG] == PART * PARTS
    assert peak < 8 * PART
