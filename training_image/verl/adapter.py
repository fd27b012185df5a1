"""A LoRA adapter whose weights were gathered from all GPUs, as PEFT saves one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from outcrop.hyperparameters import TrainingHyperparameters


@dataclass(frozen=True)
class Adapter:
    weights: Mapping[str, Tensor]
    """By PEFT's names, without the adapter's own."""
    hyperparameters: TrainingHyperparameters

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        whole = {name: one.contiguous().clone() for name, one in self.weights.items()}
        save_file(whole, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        (folder / "adapter_config.json").write_text(json.dumps(self._config(), indent=2))

    def _config(self) -> dict[str, object]:
        rank = self.hyperparameters.lora_r
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": rank,
            "lora_alpha": 2 * rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": True,
            "target_modules": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in self.weights}),
        }
