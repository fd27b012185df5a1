"""`tiny-qwen`: a random model with Qwen3's chat template, for what only a template with tools and thoughts
shows.

It has learned nothing, so what it says is noise, unless a grammar holds it to something. A token is a
character, or one of the tags.
"""

from pathlib import Path
from typing import Any

from tests import tiny_model

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")


def build(out: Path) -> None:
    """Write the model to the folder `out`."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    words = tokenizer()
    config = Qwen3Config(
        vocab_size=len(words) + 4,  # wider than the vocabulary, as the real one's is
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=words.eos_token_id,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=words.eos_token_id, pad_token_id=0)
    model.save_pretrained(out)
    words.save_pretrained(out)


def tokenizer() -> Any:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model.ensure())
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.add_tokens(list(TAGS))
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = _chat_template()
    return tokenizer


def _chat_template() -> str:
    """Qwen3's own, as TRL keeps it to recognize the model."""
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
