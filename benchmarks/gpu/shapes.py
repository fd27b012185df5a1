"""The architectures of the catalogue's large models at full width, as their config.json has them, and at a
few thousandths of it for a machine without a GPU. Weights are random: speed does not depend on them."""

from dataclasses import dataclass
from typing import Any

from transformers import GptOssConfig, PreTrainedConfig, Qwen3Config

TINY: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


@dataclass(frozen=True)
class Shape:
    config: type[PreTrainedConfig]
    sizes: dict[str, Any]
    tiny: dict[str, Any]
    """What `TINY` has in other words."""
    active_share: float
    """Of the weights of a layer's experts, those that a token meets; 1 if there are no experts."""

    def built(self, *, tiny: bool) -> PreTrainedConfig:
        return self.config(**self.sizes | (TINY | self.tiny if tiny else {}))


SHAPES = {
    "openai.gpt-oss-20b": Shape(
        GptOssConfig,
        {
            "vocab_size": 201_088,
            "hidden_size": 2880,
            "intermediate_size": 2880,
            "num_hidden_layers": 24,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "num_local_experts": 32,
            "num_experts_per_tok": 4,
            "sliding_window": 128,
        },
        {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16},
        active_share=4 / 32,
    ),
    "qwen.qwen3-32b": Shape(
        Qwen3Config,
        {
            "vocab_size": 151_936,
            "hidden_size": 5120,
            "intermediate_size": 25_600,
            "num_hidden_layers": 64,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 40_960,
            "tie_word_embeddings": False,
        },
        {},
        active_share=1.0,
    ),
}


def active_parameters(model: Any, shape: Shape) -> float:
    """Weights that a token is multiplied with: not the embedding, and of the experts those it is sent to."""
    return sum(
        one.numel() * (shape.active_share if ".experts." in name else 1.0)
        for name, one in model.named_parameters()
        if "embed_tokens" not in name and ".lora_" not in name
    )
