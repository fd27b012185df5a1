"""What a job takes of memory, worked out from the model's shape and its numbers."""

import pytest

from outcrop import accelerators, memory, prices
from outcrop.base_models import find
from outcrop.catalogue import CATALOGUE
from outcrop.hyperparameters import TrainingHyperparameters, resolve
from outcrop.types.method import ReinforcementHyperparameters


def numbers(model: str, **asked: object) -> TrainingHyperparameters:
    found = find(model)
    assert found
    return resolve(ReinforcementHyperparameters.model_validate(asked), found, rows=1000)


def gb(model: str, **asked: object) -> float:
    found = find(model)
    assert found
    return memory.estimate(found.shape, numbers(model, **asked), prompt_tokens=500).gb


def test_weights_are_what_most_of_it_is_for_a_large_model() -> None:
    found = find("qwen.qwen3-32b")
    assert found

    peak = memory.estimate(found.shape, numbers(found.id), prompt_tokens=500)

    assert peak.weights == pytest.approx(65.5e9, rel=0.01)
    assert 70 < peak.gb < 120
    assert f"{peak}".startswith(f"{peak.gb:.1f} GB (weights 65.5, adapter and optimizer ")


def test_where_all_weights_learn_each_takes_18_bytes_and_a_reference_model_4_more() -> None:
    found = find("qwen.qwen3-4b")
    assert found
    full = numbers(found.id, finetuning_type="full")

    peak = memory.estimate(found.shape, full, prompt_tokens=500)
    tied = memory.estimate(found.shape, full.model_copy(update={"beta": 0.04}), prompt_tokens=500)
    on_cpu = memory.estimate(found.shape, full, prompt_tokens=500, on_gpu=False, weight_bytes=4)

    assert peak.weights == 4 * found.shape.parameters
    assert peak.optimizer == 8 * found.shape.parameters
    assert 18 * found.shape.parameters / 1e9 < peak.gb < 96
    assert tied.gb - peak.gb == pytest.approx(4 * found.shape.parameters / 1e9)
    assert on_cpu.weights + on_cpu.optimizer == peak.weights + peak.optimizer
    assert f"{peak}".startswith(f"{peak.gb:.1f} GB (weights 16.1, optimizer 32.2, ")
    assert peak.gb > 3 * gb(found.id)


def test_longer_completions_and_more_of_them_take_more() -> None:
    usual = gb("qwen.qwen3-8b")

    assert gb("qwen.qwen3-8b", max_completion_length=4096) > usual
    assert gb("qwen.qwen3-8b", num_generations=16) > usual
    assert gb("qwen.qwen3-4b") < usual


def test_every_model_of_the_catalogue_fits_the_machines_that_it_names() -> None:
    for model in CATALOGUE:
        for name in model.instance_types:
            gpus = accelerators.of(name)
            assert gpus is None or gb(model.id) <= gpus.memory_gb, (model.id, name, gb(model.id))
            assert gpus is None or gpus.memory_gb >= model.min_gpu_memory_gb, (model.id, name)


def test_the_gpus_of_every_machine_with_a_price_are_known() -> None:
    unknown = [name for name in prices.table()["training"] if not name.startswith("ml.m5.")]

    assert all(accelerators.of(name) for name in unknown)
    assert accelerators.of("ml.m5.large") is None
    assert accelerators.of("ml.p5.4xlarge") == accelerators.Gpus(1, 80)
    assert accelerators.of("ml.p5en.48xlarge") == accelerators.Gpus(8, 141)
