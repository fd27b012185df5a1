"""Tuned models by id; checkpoints are models too, but are listed with their job."""

from outcrop.stores.models import ModelStore
from tests.factories import a_tuned_model


def test_a_model_comes_back_as_it_was_written() -> None:
    model = a_tuned_model()

    assert ModelStore("acme").get(model.id) == model


def test_models_are_listed_newest_first_without_checkpoints() -> None:
    old, new = a_tuned_model(created=100), a_tuned_model(created=200)
    checkpoint = a_tuned_model(id=f"{new.id}:ckpt-step-5", created=300, kind="checkpoint")

    assert ModelStore("acme").list() == [new, old]
    assert ModelStore("acme").get(checkpoint.id) == checkpoint


def test_unknown_and_foreign_models_are_not_there() -> None:
    model = a_tuned_model(project="acme")

    assert ModelStore("umbrella").get(model.id) is None
    assert ModelStore("umbrella").list() == []
    assert ModelStore("acme").get("ft:nothing") is None
    assert ModelStore("acme").get("x" * 2000) is None


def test_a_deleted_model_is_gone_and_deleting_it_again_changes_nothing() -> None:
    model = a_tuned_model()

    ModelStore("acme").delete(model.id)
    ModelStore("acme").delete(model.id)

    assert ModelStore("acme").get(model.id) is None
