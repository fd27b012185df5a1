"""Random models of the architectures that the catalogue has, a few thousand parameters each, with the special
tokens and chat templates of the real ones.

They have learned nothing. Their weights are drawn wide enough for one token to be likelier than another.
"""

import json
from pathlib import Path
from typing import Any, Literal

Architecture = Literal["gpt-oss", "gpt-oss-mxfp4", "qwen3", "qwen3-moe"]

EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
_SPECIAL = {
    "gptoss": (
        *("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>"),
        *("<|start|>", "<|end|>", "<|message|>", "<|call|>"),
    ),
    "qwen3": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
}
_ADDED = {"gptoss": (), "qwen3": ("<tool_call>", "</tool_call>", "<think>", "</think>")}
"""Tokens that are text: a model writes them, and decoding keeps them."""
_STOPS = {"gptoss": ("<|return|>", "<|endoftext|>", "<|call|>"), "qwen3": ("<|im_end|>", "<|endoftext|>")}
"""The first is the tokenizer's own."""
_SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
}
_TOKENIZERS: dict[str, Any] = {}


def build(architecture: Architecture, out: Path) -> Path:
    """Write the model to the folder `out`, and give it back."""
    import torch
    from transformers import (
        GenerationConfig,
        GptOssConfig,
        GptOssForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
        Qwen3MoeConfig,
        Qwen3MoeForCausalLM,
    )

    torch.manual_seed(0)
    words = tokenizer("gptoss" if architecture.startswith("gpt-oss") else "qwen3")
    sizes: dict[str, Any] = {**_SIZES, "vocab_size": len(words) + 4}  # wider, as the real ones are
    if architecture == "qwen3":
        model: Any = Qwen3ForCausalLM(Qwen3Config(**sizes, intermediate_size=96, tie_word_embeddings=True))
    elif architecture == "qwen3-moe":
        model = Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                **sizes, intermediate_size=96, moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2
            )
        )
    else:
        model = GptOssForCausalLM(
            GptOssConfig(
                **sizes,
                intermediate_size=64,
                num_local_experts=4,
                num_experts_per_tok=2,
                sliding_window=8,
            )
        )
    stops = words.convert_tokens_to_ids(list(_STOPS["gptoss" if "gpt" in architecture else "qwen3"]))
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=words.pad_token_id)
    model.save_pretrained(out)
    words.save_pretrained(out)
    if architecture == "gpt-oss-mxfp4":
        _pack(out)
    return out


def tokenizer(family: str) -> Any:
    """A byte-level BPE of a few hundred tokens. `family`: `gptoss` or `qwen3`."""
    if family not in _TOKENIZERS:
        _TOKENIZERS[family] = _tokenizer(family)
    return _TOKENIZERS[family]


def _tokenizer(family: str) -> Any:
    import trl
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    template = (Path(trl.__file__).parent / f"chat_templates/{family}.jinja").read_text()
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator([template], trainer)
    bpe.add_special_tokens([AddedToken(one, special=True) for one in _SPECIAL[family]])
    bpe.add_tokens([AddedToken(one, special=False, normalized=False) for one in _ADDED[family]])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=_STOPS[family][0],
        pad_token="<|endoftext|>",
        padding_side="left",
    )
    wrapped.chat_template = template
    return wrapped


def _pack(folder: Path) -> None:
    """Experts as the published weights have them: four bits a number, 32 numbers of one scale (MXFP4)."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors: dict[str, Any] = {}
    for name, tensor in load_file(file).items():
        if name.endswith(EXPERTS):
            blocks, scales = _quantized(tensor.transpose(1, 2))
            tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        else:
            tensors[name] = tensor
    save_file(tensors, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"],
    }
    (folder / "config.json").write_text(json.dumps(config))


def _quantized(weights: Any) -> tuple[Any, Any]:
    """(experts, rows, columns) to (experts, rows, columns / 32, 16) bytes of two numbers each, and scales."""
    import torch

    values = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    values = torch.cat([values, -values])
    groups = weights.float().unflatten(-1, (-1, 32))
    exponents = (groups.abs().amax(dim=-1) / 6.0).log2().ceil()
    scaled = groups / exponents.exp2()[..., None]
    codes = (scaled[..., None] - values).abs().argmin(dim=-1).to(torch.uint8)
    return codes[..., ::2] | codes[..., 1::2] << 4, (exponents + 127).to(torch.uint8)
