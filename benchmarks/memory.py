"""Peak memory of a job as it is estimated beforehand (`outcrop/memory.py`), and as it is.

One training step of the trainer for each size, on random weights, in a process of its own: sampling to the
greatest length, every reward different, backward pass and update. `python -m benchmarks.memory`
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from outcrop import memory
from outcrop.base_models import find
from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.types.base_model import Shape
from tests.trainer.conftest import HYPERPARAMETERS

_PROMPT = "x " * 60


def _shape(model: str, **changes: Any) -> Shape:
    found = find(model)
    assert found
    return replace(found.shape, **changes)


SMALL = _shape("smollm2-135m-instruct")
SIZES: dict[str, tuple[Shape, dict[str, Any]]] = {
    "tiny-caps, 8 x 8 of 20 tokens": (
        _shape("tiny-caps"),
        {"prompts_per_step": 8, "num_generations": 8, "max_completion_length": 20, "lora_r": 16},
    ),
    "SmolLM2, 4 x 8 of 48, last 12 layers": (
        SMALL,
        {"prompts_per_step": 4, "num_generations": 8, "max_completion_length": 48, "lora_layers": 12},
    ),
    "SmolLM2, 2 x 8 of 128, all layers": (
        SMALL,
        {"prompts_per_step": 2, "num_generations": 8, "max_completion_length": 128},
    ),
    "SmolLM2, 1 x 4 of 256, all layers": (
        SMALL,
        {"prompts_per_step": 1, "num_generations": 4, "max_completion_length": 256},
    ),
    "Qwen3 0.6B in 6 layers, 1 x 4 of 96": (
        _shape("qwen.qwen3-0.6b", num_hidden_layers=6),
        {"prompts_per_step": 1, "num_generations": 4, "max_completion_length": 96, "lora_r": 32},
    ),
    "Qwen3 1.7B in 4 layers, 1 x 8 of 64": (
        _shape("qwen.qwen3-1.7b", num_hidden_layers=4),
        {"prompts_per_step": 1, "num_generations": 8, "max_completion_length": 64, "lora_r": 32},
    ),
}


def main() -> None:
    print("| job | estimated GB | measured GB | estimate is off by |\n|---|---|---|---|")
    for name in SIZES:
        made = subprocess.run(  # noqa: S603 - this file
            [sys.executable, "-m", "benchmarks.memory", name], capture_output=True, text=True, check=False
        )
        if made.returncode:
            print(f"| {name} | failed: {made.stderr.strip().splitlines()[-1]} | | |", flush=True)
            continue
        found = json.loads(made.stdout.splitlines()[-1])
        off = found["estimated"] / found["measured"] - 1
        print(f"| {name} | {found['estimated']:.2f} | {found['measured']:.2f} | {off:+.0%} |", flush=True)


def measure(shape: Shape, numbers: TrainingHyperparameters) -> None:
    """Train one step and print what it took."""
    from tests.trainer.test_masked_completions import Scripted
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, grpo, peak_memory, policy
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.rollouts import Rollouts
    from training_image.trainer.sampler import LoopSampler

    rows: Any = [
        {"messages": [{"role": "user", "content": _PROMPT}]} for _ in range(numbers.prompts_per_step)
    ]
    with tempfile.TemporaryDirectory() as folder:
        write(shape, Path(folder) / "model")
        model, tokenizer = policy.load(Path(folder) / "model")
    chat = ChatFormat(tokenizer)
    rewards: Any = Scripted(
        [place / 10 for place in range(numbers.num_generations)] * numbers.prompts_per_step
    )
    trainer = grpo.GroupTrainer(
        model=model,
        args=grpo.config(numbers, seed=1, folder=Path(tempfile.gettempdir())),
        train_dataset=dataset.placeholders(numbers.prompts_per_step),
        processing_class=tokenizer,
        peft_config=policy.adapter(model, numbers),
        rollouts=Rollouts(
            rows=rows,
            prompts=PromptQueue(len(rows), seed=1),
            chat=chat,
            sampler=LoopSampler([]),
            sampling=Sampling(numbers.max_completion_length),
            rewards=Rewards(rewards, rows, read=chat.read, failure_limit=1.0),
        ),
        save=lambda: None,
    )
    trainer.train()
    prompt = len(chat.tokens(dataset.question(rows, 0)))
    on_gpu = model.device.type == "cuda"
    peak = memory.estimate(
        shape, numbers, prompt_tokens=prompt, on_gpu=on_gpu, weight_bytes=model.dtype.itemsize
    )
    found = {"estimated": peak.gb, "measured": peak_memory.used_gb(), "parts": asdict(peak)}
    print(json.dumps(found))


def write(shape: Shape, folder: Path) -> None:
    """A random model of that shape, with the tokenizer of `tiny-caps`."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tests import tiny_model

    config = LlamaConfig(**{name: value for name, value in asdict(shape).items() if "experts" not in name})
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model.ensure()).save_pretrained(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        chosen, changes = SIZES[sys.argv[1]]
        measure(chosen, HYPERPARAMETERS.model_copy(update={**changes, "max_steps": 1}))
    else:
        main()
