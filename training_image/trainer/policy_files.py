"""The policy as it is now, in files for others: its adapter, or all weights with the adapter in them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

_OF_THE_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)


def version(model: Any) -> int:
    """Grows with every change of a parameter in training, made in place as optimizers make them."""
    return sum(one._version for one in model.parameters() if one.requires_grad)


def has_portable_adapter(model: Any) -> bool:
    """Whether vLLM can add the adapter to the base model itself: not one of expert parameters, which it lays
    out in a way of its own."""
    if not isinstance(model, PeftModel):
        return False
    config: Any = model.peft_config["default"]
    return not (config.target_parameters or config.modules_to_save or config.use_dora)


def write_adapter(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)


def write_merged(model: Any, base: Path, folder: Path) -> None:
    """A model of its own: the policy's weights as they are multiplied with (a GPU rounds them to bfloat16),
    and the tokenizer of `base`. The policy stays as it is, bit by bit."""
    decoder: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    tensors = dict(merged_tensors(decoder))
    dtype = next(iter(tensors.values())).dtype
    decoder.save_pretrained(folder, state_dict=tensors)
    config = folder / "config.json"
    described = json.loads(config.read_bytes())
    described.pop("quantization_config", None)  # the weights that train are not quantized
    described["dtype"] = str(dtype).removeprefix("torch.")
    config.write_text(json.dumps(described, indent=2))
    for name in _OF_THE_TOKENIZER:
        if (base / name).exists():
            shutil.copy(base / name, folder)


@torch.no_grad()
def merged_tensors(decoder: Any) -> Iterator[tuple[str, Tensor]]:
    """Each weight by the name it has without an adapter, in the machine's memory."""
    tuned = {name: one for name, one in decoder.named_modules() if isinstance(one, BaseTunerLayer)}
    for name, tensor in decoder.state_dict().items():
        if ".lora_" in name:
            continue
        module, _, parameter = name.rpartition(".")
        plain = name.replace(".base_layer", "")
        for layer in _wrappers(module, tuned):
            if getattr(layer, "parameter_name", "weight") == parameter:
                tensor = tensor + layer.get_delta_weight("default").to(tensor.dtype)
        is_rounded = tensor.is_cuda and tensor.is_floating_point()
        yield plain, (tensor.bfloat16() if is_rounded else tensor).cpu()


def _wrappers(module: str, tuned: Mapping[str, Any]) -> Iterator[Any]:
    """The layers of an adapter around a module: one for each of its parameters that is tuned."""
    while module.endswith(".base_layer"):
        module = module.removesuffix(".base_layer")
        yield tuned[module]
