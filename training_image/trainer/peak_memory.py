"""How much memory a run will take at its peak, how much it has taken, and how much there is."""

import os
import resource
from typing import Any

import torch

from outcrop import memory
from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.types.base_model import Shape


def estimate(model: Any, numbers: TrainingHyperparameters, *, prompt_tokens: int) -> memory.Peak:
    """`prompt_tokens`: of the longest prompt."""
    return memory.estimate(
        shape(model.config),
        numbers,
        prompt_tokens=prompt_tokens,
        on_gpu=model.device.type == "cuda",
        weight_bytes=model.dtype.itemsize,
    )


def shape(config: Any) -> Shape:
    """Of a model by its configuration, in which experts have one of several names."""
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None) or 0
    inner = (getattr(config, "moe_intermediate_size", None) if experts else None) or config.intermediate_size
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        num_hidden_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        intermediate_size=inner,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=head_dim,
        vocab_size=config.vocab_size,
        tie_word_embeddings=config.tie_word_embeddings,
        num_experts=experts,
        num_experts_per_tok=getattr(config, "num_experts_per_tok", 0) if experts else 0,
    )


def used_gb() -> float:
    """On a GPU what torch has set aside there; else what the process has held of the machine's memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def there_is_gb() -> float:
    """Of the GPU, or of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory / 1e9
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
