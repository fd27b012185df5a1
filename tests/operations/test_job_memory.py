"""Which machines a job is asked for: those whose GPUs hold it."""

from collections.abc import Iterator

import pytest

from outcrop.base_models import BaseModel, find
from outcrop.operations import job_memory, machines
from outcrop.settings import settings
from outcrop.types.method import Method
from tests import factories

SMALL, LARGE = "ml.g6e.xlarge", "ml.g7e.2xlarge"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseModel]:
    """Trained on a machine of 48 GB, or one of 96."""
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", f'{{"*": ["{SMALL}", "{LARGE}"]}}')
    settings.cache_clear()
    found = find("qwen.qwen3-4b")
    assert found
    yield found
    settings.cache_clear()


def asked_for(model: BaseModel, finetuning_type: str) -> list[str]:
    hyperparameters = {"finetuning_type": finetuning_type}
    reinforcement = {"grader": factories.STRING_CHECK, "hyperparameters": hyperparameters}
    method = Method.model_validate({"type": "reinforcement", "reinforcement": reinforcement})
    return [one.instance_type for one in job_memory.machines_for(method, model)]


def test_a_job_on_all_weights_is_not_given_a_machine_that_holds_an_adapters_alone(model: BaseModel) -> None:
    assert asked_for(model, "lora") == [SMALL, LARGE]
    assert asked_for(model, "full") == [LARGE]


def test_its_volume_has_room_for_resume_states_with_all_weights(model: BaseModel) -> None:
    assert machines.volume_gb(model, is_full=False) == 62
    assert machines.volume_gb(model, is_full=True) == 231
