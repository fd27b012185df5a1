"""The adapter folded into the weights for as long as completions are sampled."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer, ParamWrapper


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Within, a CPU multiplies by one matrix where it would by three; afterwards the weights are what they
    were, bit by bit.

    Only in float32, and only on a CPU: bfloat16 would round the adapter away, and a GPU has better use for
    its memory than a second copy of the weights.
    """
    if model.device.type != "cpu" or model.dtype != torch.float32:
        yield
        return
    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
    weights = [_weight(layer) for layer in layers]
    kept = [weight.data for weight in weights]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                weight.data = weight.data + layer.get_delta_weight("default")
                layer.merged_adapters.append("default")
        yield
    finally:
        for layer, weight, data in zip(layers, weights, kept, strict=True):
            weight.data = data
            layer.merged_adapters.clear()


def _weight(layer: Any) -> Any:
    """What the adapter of a layer is added to; experts are parameters of a module with several."""
    return layer.get_param() if isinstance(layer, ParamWrapper) else layer.get_base_layer().weight
