"""The benchmark for GPUs runs where there is none: at tiny sizes, with our own loop in vLLM's place."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("model", "attention", "rows"), [("openai.gpt-oss-20b", "eager", 3), ("qwen.qwen3-32b", "sdpa", 4)]
)
def test_it_writes_a_table_of_sampling_and_learning(model: str, attention: str, rows: int) -> None:
    from benchmarks.gpu.rollout_and_update import measure

    head, _, columns, _, *lines = measure(model, attention, tiny=True).splitlines()

    assert head.startswith(f"{model}, tiny, random weights, CPU")
    assert columns == "| | tokens | s | tokens/s | peak GB | MFU |"
    assert len(lines) == rows
    assert lines[0].startswith("| rollout, our loop | 32 |")


def test_the_full_size_is_that_of_the_catalogue() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks.gpu.shapes import SHAPES, active_parameters
    from outcrop.base_models import CATALOGUE

    sizes = {entry.id: entry.parameters for entry in CATALOGUE}
    for name, shape in SHAPES.items():
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(shape.built(tiny=False))

        count = sum(one.numel() for one in model.parameters())
        assert count == pytest.approx(sizes[name], rel=0.01)
        if name == "openai.gpt-oss-20b":
            assert active_parameters(model, shape) == pytest.approx(3.6e9, rel=0.01)
