"""The tuned model in one piece, base weights with the adapter added or weights that were all trained, in the
layout that Bedrock imports.

Hugging Face's files side by side, weights as safetensors, the chat template inside tokenizer_config.json, and
nothing but the total size in the index
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-customization-import-model.html). Bedrock reads
them with a transformers of its own, older than ours, so all files but the weights are the base model's own,
and tensors keep the base model's names.

Weights pass through memory tensor by tensor: it takes neither the model's class nor room for two models.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training_image.trainer.errors import TrainingError, failed_writes_as_os_errors

_SHARD_BYTES = 4 * 2**30
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"
_COPIED = (
    *("special_tokens_map.json", "added_tokens.json", "tokenizer.json", "tokenizer.model"),
    *("vocab.json", "merges.txt"),
)
_GPT_OSS_ENDS = [200002, 199999, 200012]
"""Without these, Bedrock lets gpt-oss talk past the end of its turn."""
_EXPERTS = re.compile(r"(?P<module>.*\.experts)(?P<inner>\.base_layer)?")
_EXPERT_PARAMETERS = ("gate_up_proj", "down_proj")
_SINGLE_EXPERT = re.compile(r"(?P<module>.*\.experts)\.(?P<number>\d+)\.(?P<part>gate|up|down)_proj\.weight")
_BLOCKS, _SCALES = "_blocks", "_scales"
"""gpt-oss packs a weight of its experts into two tensors (MXFP4)."""


def write(
    base: Path, trained: Path, folder: Path, publish: Callable[[], None], *, shard_bytes: int = _SHARD_BYTES
) -> None:
    """Write the model's files to `folder`, some at a time: `publish` is called when they are complete, and
    takes them away. `trained`: the adapter's folder, or that of all weights.

    Raises: TrainingError if the two do not fit each other, OSError for a full disk, or if there is neither.
    """
    has_adapter = (trained / _ADAPTER).exists()
    if not any(trained.glob("*.safetensors")):
        raise FileNotFoundError(f"There are no weights in {trained}.")
    weights = _Weights(base if has_adapter else trained)
    deltas = _Deltas(trained, transposed_experts=_is_gpt_oss(base)) if has_adapter else None
    names = weights.names()
    if strange := (deltas.of(names) if deltas else set[str]()) - {*names}:
        raise TrainingError(f"The adapter cannot be merged: the base model has no {min(strange)}.")
    shards = [*_shards([(name, weights.bytes(name)) for name in names], shard_bytes)]
    files: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        part = f"-{number:05}-of-{len(shards):05}" if len(shards) > 1 else ""
        file = f"model{part}.safetensors"
        files |= dict.fromkeys(shard, file)
        tensors = {
            name: deltas.added(name, weights.tensor(name)) if deltas else weights.tensor(name)
            for name in shard
        }
        with failed_writes_as_os_errors():
            save_file(tensors, folder / file, metadata={"format": "pt"})
        publish()
    if len(shards) > 1:
        size = sum(weights.bytes(name) for name in names)
        _write(folder / _INDEX, {"metadata": {"total_size": size}, "weight_map": files})
    _write_settings(base, folder)
    publish()


class _Weights:
    """A model's tensors, each read when it is asked for, as bfloat16."""

    def __init__(self, folder: Path) -> None:
        self._where: dict[str, Any] = {}
        for file in sorted(folder.glob("*.safetensors")):
            opened = safe_open(file, framework="pt")
            self._where |= dict.fromkeys(opened.keys(), opened)

    def names(self) -> list[str]:
        packed = [name.removesuffix(_BLOCKS) for name in self._where if name.endswith(_BLOCKS)]
        halves = {name + half for name in packed for half in (_BLOCKS, _SCALES)}
        return [*(name for name in self._where if name not in halves), *packed]

    def bytes(self, name: str) -> int:
        """Of the tensor as it is written."""
        packed = self._where.get(name + _BLOCKS)
        shape = (packed or self._where[name]).get_slice(name + _BLOCKS if packed else name).get_shape()
        values = 2 if packed else 1  # of four bits in a byte
        return 2 * values * int(torch.Size(shape).numel())

    def tensor(self, name: str) -> torch.Tensor:
        if name + _BLOCKS in self._where:
            # Seconds of imports, which only gpt-oss needs.
            from transformers.integrations.mxfp4 import convert_moe_packed_tensors

            return convert_moe_packed_tensors(self._read(name + _BLOCKS), self._read(name + _SCALES))
        tensor = self._read(name)
        return tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor

    def _read(self, name: str) -> torch.Tensor:
        return self._where[name].get_tensor(name)


@dataclass(frozen=True)
class _Low:
    a: torch.Tensor
    b: torch.Tensor


class _Deltas:
    """What a LoRA adapter adds to weights of its base model, by their names."""

    def __init__(self, folder: Path, *, transposed_experts: bool) -> None:
        """`transposed_experts`: whether an expert's weight is (in, out), as GPT-OSS has it."""
        described = json.loads((folder / _ADAPTER).read_bytes())
        rank, alpha = described["r"], described["lora_alpha"]
        self._rank = rank
        self._scale = alpha / (rank**0.5 if described.get("use_rslora") else rank)
        self._transposed = transposed_experts
        ends = {name.rpartition(".")[2] for name in described.get("target_parameters") or ()}
        self._low: dict[str, _Low] = {}
        self._experts: dict[str, _Low] = {}
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - it is no mapping
                if key.endswith(".lora_A.weight"):
                    module = key.removesuffix(".lora_A.weight")
                    low = _Low(opened.get_tensor(key), opened.get_tensor(f"{module}.lora_B.weight"))
                    name = module.removeprefix("base_model.model.")
                    if expert := _EXPERTS.fullmatch(name):
                        # PEFT wraps a module once for each of its parameters, in their order.
                        inner, *outer = [one for one in _EXPERT_PARAMETERS if one in ends]
                        parameter = inner if expert["inner"] or not outer else outer[0]
                        self._experts[f"{expert['module']}.{parameter}"] = low
                    else:
                        self._low[f"{name}.weight"] = low

    def of(self, names: Sequence[str]) -> set[str]:
        """The tensors that get something. Experts may be one tensor or many in the base model's files."""
        single = {name for name in names if self._expert(name)}
        fused = {
            name for name in self._experts if not any(one.startswith(_experts_of(name)) for one in single)
        }
        return {*self._low, *fused, *single}

    def added(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Computed in 32 bits: in 16 the smallest changes would round to none."""
        if low := self._low.get(name):
            delta = low.b.float() @ low.a.float()
        elif low := self._experts.get(name):
            delta = self._of_experts(low)
        elif found := self._expert(name):
            delta = self._of_experts(found[0])[found[1]]
            halves = {"gate": delta.chunk(2)[0], "up": delta.chunk(2)[1]}
            delta = halves.get(found[2], delta)
        else:
            return weight.contiguous()
        return (weight.float() + self._scale * delta).to(weight.dtype)

    def _expert(self, name: str) -> tuple[_Low, int, str] | None:
        """What is added to the experts of a tensor with one of them, its number, and which part it is."""
        found = _SINGLE_EXPERT.fullmatch(name)
        parameter = found and ("down_proj" if found["part"] == "down" else "gate_up_proj")
        low = self._experts.get(f"{found['module']}.{parameter}") if found else None
        return (low, int(found["number"]), found["part"]) if found and low else None

    def _of_experts(self, low: _Low) -> torch.Tensor:
        """(experts, out, in), or (experts, in, out)."""
        a = low.a.float().unflatten(0, (-1, self._rank))
        b = low.b.float().unflatten(1, (self._rank, -1))
        return torch.einsum("ore,eri->eio" if self._transposed else "ore,eri->eoi", b, a)


def _experts_of(name: str) -> str:
    return name.rpartition(".")[0] + "."


def _shards(sizes: Sequence[tuple[str, int]], most: int) -> Iterator[list[str]]:
    """Names in their order, in groups of about `most` bytes."""
    shard: list[str] = []
    filled = 0
    for name, size in sizes:
        if shard and filled + size > most:
            yield shard
            shard, filled = [], 0
        shard.append(name)
        filled += size
    yield shard


def _write_settings(base: Path, folder: Path) -> None:
    """All files but the weights, the configuration last: without it nothing would be taken for a model."""
    for name in _COPIED:
        if (base / name).exists():
            (folder / name).write_bytes((base / name).read_bytes())
    config = _read(base / "config.json")
    config.pop("quantization_config", None)
    generation = _read(base / "generation_config.json")
    if config.get("model_type") == "gpt_oss":
        generation["eos_token_id"] = _GPT_OSS_ENDS
    tokenizer = _read(base / "tokenizer_config.json")
    template = base / "chat_template.jinja"
    if template.exists():
        tokenizer["chat_template"] = template.read_text()
    if "chat_template" not in tokenizer:
        raise TrainingError("The model cannot be merged for Amazon Bedrock: it has no chat template.")
    _write(folder / "generation_config.json", generation)
    _write(folder / "tokenizer_config.json", tokenizer)
    _write(folder / "config.json", config | {"torch_dtype": "bfloat16"})


def _is_gpt_oss(base: Path) -> bool:
    return _read(base / "config.json").get("model_type") == "gpt_oss"


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_bytes()) if file.exists() else {}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
