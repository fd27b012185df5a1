"""Which adapters the local inference server takes."""

import json
from pathlib import Path

import pytest

from local.adapters import Adapters
from outcrop.errors import APIError
from outcrop.stores.objects import ObjectStore
from tests.account import BUCKET, Account

SOURCE = f"s3://{BUCKET}/adapters/step-000002/"


@pytest.fixture
def adapters(aws: Account, tmp_path: Path) -> Adapters:
    """An adapter of `tiny-caps` is in the bucket."""
    config = json.dumps({"base_model_name_or_path": "tiny-caps"}).encode()
    for name, content in (("adapter_config.json", config), ("adapter_model.safetensors", b"")):
        ObjectStore().put(f"adapters/step-000002/{name}", content)
    return Adapters(tmp_path)


def test_an_adapter_is_loaded_on_top_of_its_own_base_model(adapters: Adapters) -> None:
    adapters.load("ft:tiny-caps:acme::1", SOURCE, "tiny-caps")

    found = adapters.find("ft:tiny-caps:acme::1")
    assert found is not None and found.base == "tiny-caps"


def test_an_adapter_of_another_base_model_is_refused_by_the_names_of_both(
    adapters: Adapters, tmp_path: Path
) -> None:
    with pytest.raises(APIError) as refused:
        adapters.load("ft:smollm2-135m-instruct:acme::1", SOURCE, "smollm2-135m-instruct")

    assert str(refused.value) == (
        f"lora_path: the adapter at {SOURCE} was trained on 'tiny-caps', and base_model_name is "
        "'smollm2-135m-instruct'. It answers on top of 'tiny-caps' alone."
    )
    assert adapters.list() == []
    assert [*tmp_path.iterdir()] == []
