"""The model in training: where it runs, in which precision, with which adapter, and what it may write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from outcrop.hyperparameters import TrainingHyperparameters
from training_image.constraints import Constraint, Vocabulary
from training_image.generate import stop_tokens
from training_image.grammars import GrammarError, response_format_grammar
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.errors import TrainingError


def load(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer from a Hugging Face folder, on the GPU if there is one."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=precision(), local_files_only=True)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def constraint(
    response_format: Mapping[str, Any] | None, chat: ChatFormat, model: Any, tokenizer: Any
) -> Constraint | None:
    """What holds completions to the job's `response_format`, after their thought.

    Raises: TrainingError if nothing can.
    """
    grammar = response_format_grammar(response_format, chat.thought) if response_format else None
    if grammar is None:
        return None
    if chat.has_channels:
        raise TrainingError(
            "method.reinforcement.response_format cannot be kept to by this model, which answers in "
            "channels: leave it out, and have the prompt ask for the form and the grader check it."
        )
    vocabulary = Vocabulary(tokenizer, stop_tokens(model, tokenizer), model.config.vocab_size)
    try:
        return vocabulary.constraint(grammar)
    except GrammarError as error:
        raise TrainingError(f"method.reinforcement.response_format cannot be kept to: {error}") from error


def precision() -> torch.dtype:
    """bfloat16 where the hardware multiplies it; a CPU without such instructions takes 100 times as long over
    it.
    """
    if torch.cuda.is_available():
        return torch.bfloat16
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return torch.bfloat16 if "amx_bf16" in flags or "avx512_bf16" in flags else torch.float32


def adapter(model: Any, hyperparameters: TrainingHyperparameters) -> LoraConfig:
    """LoRA on all linear layers of the decoder, or of its last `lora_layers` layers."""
    layers, targets = None, "all-linear"
    if hyperparameters.lora_layers is not None:
        depth = model.config.num_hidden_layers
        layers = list(range(max(0, depth - hyperparameters.lora_layers), depth))
        # "all-linear" does not go with a choice of layers; these are the names in every Llama-like decoder.
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return LoraConfig(
        r=hyperparameters.lora_r,
        lora_alpha=2 * hyperparameters.lora_r,
        lora_dropout=0.0,
        target_modules=targets,
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )
