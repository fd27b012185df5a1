"""Models that a deployment adds to the catalogue: a few fields, the rest from one that it has."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from outcrop import base_models, own_models
from outcrop.catalogue import CATALOGUE
from outcrop.settings import settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ACME = {
    "id": "acme.qwen3-8b",
    "like": "qwen.qwen3-8b",
    "repository": "acme/Qwen3-8B",
    "revision": COMMIT,
    "learning_rate": 2e-5,
}


def test_what_is_not_said_is_as_the_model_has_it_that_this_one_is_like() -> None:
    like = base_models.offered("qwen.qwen3-8b", ["qwen.qwen3-8b"])

    model = own_models.read(ACME)

    assert model == replace(
        like,
        id="acme.qwen3-8b",
        like="qwen.qwen3-8b",
        aliases=(),
        repository="acme/Qwen3-8B",
        revision=COMMIT,
        jumpstart=None,
        learning_rate=2e-5,
    )


def test_what_the_functions_are_told_of_it_is_what_was_said() -> None:
    model = own_models.read(ACME)

    text = own_models.to_json([model])

    assert json.loads(text) == [ACME]
    assert own_models.from_json(text) == (model,)


def test_a_model_like_no_other_says_everything() -> None:
    said = json.loads(json.dumps(asdict(CATALOGUE[0]))) | {"id": "acme.large", "aliases": ["Acme/Large"]}
    del said["like"]

    model = own_models.read(said)

    assert own_models.from_json(own_models.to_json([model])) == (model,)
    assert replace(model, id=CATALOGUE[0].id, aliases=CATALOGUE[0].aliases) == CATALOGUE[0]


def test_it_is_found_wherever_the_setting_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_OWN_MODELS", json.dumps([ACME]))
    settings.cache_clear()

    found = base_models.find("ACME.qwen3-8b")

    assert found and found.repository == "acme/Qwen3-8B"
    assert base_models.offered("acme.qwen3-8b", ["acme.qwen3-8b"]) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "Acme 8B"}, "id must be small letters, digits, '.', '_' and '-', not 'Acme 8B'."),
        ({"id": "qwen3-8b"}, "'qwen3-8b' is a name of the catalogue's qwen.qwen3-8b: choose another."),
        (
            {"like": "qwen4"},
            "'acme.qwen3-8b': like must be a model of the catalogue, not 'qwen4'. There are:",
        ),
        ({"like": None}, "'acme.qwen3-8b' needs architecture, or `like` with a model that has it."),
        ({"revision": "main"}, "'acme.qwen3-8b': revision must be a commit of acme/Qwen3-8B, 40 hexadecimal"),
        ({"repository": "acme"}, "'acme.qwen3-8b': repository must be like 'Qwen/Qwen3-8B', not 'acme'."),
        ({"lora_r": "big"}, "'acme.qwen3-8b': lora_r: Input should be a valid integer"),
        ({"lora_r": 0}, "'acme.qwen3-8b': lora_r must be more than 0."),
        ({"rank": 8}, "'acme.qwen3-8b' has no field 'rank'. There are: id, aliases,"),
        ({"attention": "fast"}, "'acme.qwen3-8b': attention: Input should be 'sdpa', 'eager',"),
        ({"instance_types": ["p5"]}, "'acme.qwen3-8b': instance_types must be SageMaker types like"),
        ({"max_completion_length": 40_000}, "'acme.qwen3-8b': max_completion_length must be less than"),
        ({"parameters": 70_000_000_000}, "'acme.qwen3-8b': shape makes 8.19 billion parameters, and"),
        ({"serving": {"instance_types": 7}}, "'acme.qwen3-8b': serving.instance_types: Input should be"),
    ],
)
def test_a_wrong_one_is_told_by_its_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        own_models.read(ACME | change)

    assert str(caught.value).startswith(message)


def test_every_model_of_the_catalogue_has_the_parameters_of_its_shape_and_a_commit() -> None:
    for model in CATALOGUE:
        assert model.shape.parameters == pytest.approx(model.parameters, rel=0.005), model.id
        assert not model.repository or len(model.revision or "") == 40, model.id
    names = [name.lower() for model in CATALOGUE for name in (model.id, *model.aliases)]
    assert len(names) == len(set(names))
