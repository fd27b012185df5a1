"""Tokens per second of sampling and of learning on one GPU, full width, random weights; and plain TRL's.

A markdown table: rollout and update, each as Outcrop does it and as plain TRL does with its defaults, with
peak memory and the model FLOPs utilization: 4 FLOPs for each active weight and token of an update, for with
LoRA frozen weights have no gradient of their own; what is computed twice counts once. Under 10 minutes on one
H200.

Run: python -m benchmarks.gpu.rollout_and_update --model openai.gpt-oss-20b [--attention eager] [--out FILE]
On a CPU, to see that it runs: --tiny. No GPU's numbers are published yet.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from benchmarks.gpu.shapes import SHAPES, active_parameters
from training_image.sampling import Sampling
from training_image.trainer.grpo import is_packable
from training_image.trainer.packing import log_probabilities
from training_image.trainer.sampler import LoopSampler, Sampler

_ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "B200": 2250e12, "A100": 312e12, "L40S": 362e12}
"""Dense bfloat16, as the makers give them."""


@dataclass(frozen=True)
class Sizes:
    prompts: int
    generations: int
    prompt_tokens: int
    completion_tokens: int
    plain_tokens: int
    """Of a completion by transformers' `generate`, whose speed does not depend on it much."""


FULL = Sizes(prompts=4, generations=8, prompt_tokens=512, completion_tokens=1024, plain_tokens=64)
SMALL = Sizes(prompts=2, generations=2, prompt_tokens=12, completion_tokens=8, plain_tokens=4)


@dataclass(frozen=True)
class Row:
    what: str
    tokens: int
    seconds: float
    peak_gb: float
    mfu: float | None = None

    def __str__(self) -> str:
        share = "" if self.mfu is None else f"{self.mfu:.1%}"
        rate = self.tokens / self.seconds
        numbers = f"{self.tokens} | {self.seconds:.2f} | {rate:.0f} | {self.peak_gb:.1f}"
        return f"| {self.what} | {numbers} | {share} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=SHAPES, required=True)
    parser.add_argument("--attention", default="eager", help="transformers' attn_implementation")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a machine without a GPU")
    parser.add_argument("--out", type=Path, help="a file for the table")
    asked = parser.parse_args()
    if not asked.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU here; --tiny shows on a CPU that the script runs")
    table = measure(asked.model, asked.attention, tiny=asked.tiny)
    print(table)
    if asked.out:
        asked.out.write_text(table + "\n")


def measure(name: str, attention: str, *, tiny: bool) -> str:
    sizes, shape = SMALL if tiny else FULL, SHAPES[name]
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(
            shape.built(tiny=tiny), dtype=dtype, attn_implementation=attention
        )
    active = active_parameters(base, shape)
    model = get_peft_model(base, LoraConfig(r=32, lora_alpha=64, target_modules=_ATTENTION))
    vocabulary = base.config.vocab_size
    prompts = [torch.randint(vocabulary, (sizes.prompt_tokens,)).tolist() for _ in range(sizes.prompts)]
    asked = [prompt for prompt in prompts for _ in range(sizes.generations)]
    rows = [
        _rollout(model, _sampler(base.config, sizes, tiny=tiny), asked, sizes),
        _plain_rollout(model, asked, sizes),
    ]
    completions = [torch.randint(vocabulary, (sizes.completion_tokens,)).tolist() for _ in asked]
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    model.train()
    updates = {"update, plain TRL's rows": _plain_loss}
    if is_packable(base.config):
        updates = {"update, a group as one tree": _packed_loss, **updates}
    rows += [_update(what, loss, model, asked, completions, sizes, active) for what, loss in updates.items()]
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    size = "tiny" if tiny else "full size"
    head = f"{name}, {size}, random weights, {where}, torch {torch.__version__}, {attention} attention"
    columns = ("| | tokens | s | tokens/s | peak GB | MFU |", "|---|---|---|---|---|---|")
    return "\n".join([head, "", *columns, *map(str, rows)])


def _sampler(config: Any, sizes: Sizes, *, tiny: bool) -> tuple[str, Sampler]:
    """vLLM where there is one, with random weights of its own."""
    if tiny or find_spec("vllm") is None:
        return "our loop", LoopSampler([])
    from training_image.trainer import vllm_sampler

    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    (folder / "config.json").write_text(json.dumps(config.to_dict(), default=str))

    class Dummy(vllm_sampler.VLLMSampler):
        def engine_arguments(self, model: Any, folder: Path) -> dict[str, Any]:
            found = super().engine_arguments(model, folder)
            return found | {"load_format": "dummy", "skip_tokenizer_init": True}

    free, total = torch.cuda.mem_get_info()
    settings = vllm_sampler.EngineSettings(
        context=sizes.prompt_tokens + sizes.completion_tokens,
        memory_share=round((free - 8e9) / total, 3),
        seed=0,
    )
    return "vLLM", Dummy(folder, [], settings, folder=folder)


def _rollout(model: Any, named: tuple[str, Sampler], asked: list[list[int]], sizes: Sizes) -> Row:
    """The second of two: the first one starts the engine and compiles."""
    what, sampler = named
    samplings = [Sampling(sizes.completion_tokens, seed=place) for place in range(len(asked))]
    sampler.sample(model, asked, samplings)
    (made, seconds, peak) = _timed(lambda: sampler.sample(model, asked, samplings))
    return Row(f"rollout, {what}", sum(len(one.token_ids) for one in made), seconds, peak)


def _plain_rollout(model: Any, asked: list[list[int]], sizes: Sizes) -> Row:
    ids = torch.tensor(asked, device=model.device)
    model.eval()
    with torch.no_grad():
        (_, seconds, peak) = _timed(
            lambda: model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=sizes.plain_tokens,
                min_new_tokens=sizes.plain_tokens,
                do_sample=True,
                pad_token_id=0,
            )
        )
    return Row("rollout, plain TRL (`generate`)", len(asked) * sizes.plain_tokens, seconds, peak)


Loss = Callable[[Any, list[list[int]], list[list[int]]], torch.Tensor]


def _packed_loss(model: Any, prompts: list[list[int]], completions: list[list[int]]) -> torch.Tensor:
    logprobs, _ = log_probabilities(model, prompts, completions, 1.0)
    return torch.cat(logprobs).mean()


def _plain_loss(model: Any, prompts: list[list[int]], completions: list[list[int]]) -> torch.Tensor:
    """As TRL has it: a row for each completion, the head on the completion's places."""
    from trl.trainer.utils import selective_log_softmax

    rows = torch.tensor(
        [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)],
        device=model.device,
    )
    width = len(completions[0])
    logits = model(input_ids=rows, logits_to_keep=width + 1).logits[:, :-1]
    return selective_log_softmax(logits, rows[:, -width:]).mean()


def _update(
    what: str,
    loss: Loss,
    model: Any,
    asked: list[list[int]],
    completions: list[list[int]],
    sizes: Sizes,
    active: float,
) -> Row:
    """A group at a time, as both do; the second of two passes."""

    def step() -> None:
        for start in range(0, len(asked), sizes.generations):
            group = slice(start, start + sizes.generations)
            loss(model, asked[group], completions[group]).backward()

    try:
        step()
        model.zero_grad()
        (_, seconds, peak) = _timed(step)
    except torch.OutOfMemoryError:
        return Row(f"{what}: out of memory", 0, 1.0, torch.cuda.max_memory_allocated() / 1e9)
    model.zero_grad()
    tokens = len(asked) * (sizes.prompt_tokens + sizes.completion_tokens)
    return Row(what, tokens, seconds, peak, _utilization(4 * active * tokens / seconds))


def _utilization(flops: float) -> float | None:
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((flops / peak for known, peak in PEAK_FLOPS.items() if known in name), None)


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, seconds, and the most memory of the GPU that torch held, in GB."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    made = work()
    if on_gpu:
        torch.cuda.synchronize()
    return made, time.perf_counter() - started, torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0


if __name__ == "__main__":
    main()
