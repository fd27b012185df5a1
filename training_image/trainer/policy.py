"""The model in training: where it runs, in which precision and with which adapter."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.quantization_config import Mxfp4Config

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.types.base_model import Attention
from training_image.trainer.errors import TrainingError

_MXFP4 = "mxfp4"


def load(folder: Path, attention: Attention = "sdpa", *, learns: bool = False) -> tuple[Any, Any]:
    """Model and tokenizer from a Hugging Face folder, on the GPU if there is one. Weights packed into four
    bits, as GPT-OSS's experts are, become numbers of the trainer's precision: nothing adds to packed ones.

    `learns`: whether all its weights do. They are float32 then, and a GPU rounds them to multiply by them: in
    bfloat16, a step is too small to be added to most of them.

    Raises: TrainingError for a folder that is no model, or one that cannot be trained here.
    """
    if not any(folder.glob("*.safetensors")):
        raise TrainingError("The model's weights are missing: its folder has no .safetensors file.")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"The model's config.json cannot be read: {_first_line(error)}") from error
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
    on_gpu = torch.cuda.is_available()
    if not on_gpu and attention != "sdpa":
        attention = "eager"  # the others are for GPUs
    dtype = torch.float32 if learns else precision()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            **_unpacked(config),
        )
    except (ImportError, ValueError) as error:
        raise TrainingError(
            f"The model cannot be loaded with attention '{attention}': {_first_line(error)}"
        ) from error
    if _unpacked(config):
        model.to(dtype)  # on a CPU without bfloat16 nothing else is in it
    return model.to("cuda" if on_gpu else "cpu"), tokenizer


def _unpacked(config: Any) -> dict[str, Any]:
    """What `from_pretrained` is told for the weights to be numbers. Raises: TrainingError."""
    packed = getattr(config, "quantization_config", None)
    if packed is None:
        return {}
    method = packed.get("quant_method") if isinstance(packed, Mapping) else packed.quant_method
    if method != _MXFP4:
        raise TrainingError(
            f"The model's weights are quantized by {method}, which cannot be trained: take the repository "
            "with its weights in bfloat16."
        )
    return {"quantization_config": Mxfp4Config(dequantize=True)}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def precision() -> torch.dtype:
    """bfloat16 where the hardware multiplies it; a CPU without such instructions takes 100 times as long over
    it.
    """
    if torch.cuda.is_available():
        return torch.bfloat16
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return torch.bfloat16 if "amx_bf16" in flags or "avx512_bf16" in flags else torch.float32


def learning(model: Any, hyperparameters: TrainingHyperparameters) -> int:
    """How many weights learn, if all of them do; else 0."""
    return model.num_parameters() if hyperparameters.learns_all_weights else 0


def adapter(model: Any, hyperparameters: TrainingHyperparameters) -> LoraConfig:
    """LoRA on the linear layers and parameters that the hyperparameters name (all linear layers of the
    decoder if none), in all its layers or in the last `lora_layers`. PEFT's "all-linear" would take a
    mixture's router and experts along.

    Raises: TrainingError if the model has no such layer or parameter.
    """
    depth = model.config.num_hidden_layers
    first = depth - min(hyperparameters.lora_layers or depth, depth)
    decoder = model.base_model
    linear = {
        name.rpartition(".")[2]
        for name, layer in decoder.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    if missing := {*hyperparameters.lora_targets} - linear:
        raise TrainingError(
            f"lora_targets: the model has no linear layer '{min(missing)}'; it has "
            f"{', '.join(sorted(linear))}."
        )
    return LoraConfig(
        r=hyperparameters.lora_r,
        lora_alpha=2 * hyperparameters.lora_r,
        lora_dropout=0.0,
        target_modules=[*hyperparameters.lora_targets] or sorted(linear),
        target_parameters=_parameters(model, hyperparameters.lora_parameters, first),
        layers_to_transform=list(range(first, depth)) if first else None,
        task_type="CAUSAL_LM",
    )


def _parameters(model: Any, ends: Sequence[str], first_layer: int) -> list[str] | None:
    """Names of the parameters that end so, from a layer on: PEFT's choice of layers is for modules alone."""
    chosen: list[str] = []
    for end in ends:
        named = [name for name, _ in model.named_parameters() if name.endswith(f".{end}")]
        if not named:
            raise TrainingError(f"lora_parameters: the model has no parameter that ends in '{end}'.")
        chosen += [name for name in named if _layer(name) >= first_layer]
    return chosen or None


def _layer(name: str) -> int:
    found = re.search(r"\.layers\.(\d+)\.", name)
    return int(found[1]) if found else 0
