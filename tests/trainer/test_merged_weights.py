"""The tuned model in one piece: what Bedrock imports computes what base model and adapter do together."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from training_image.trainer import merged_weights
from training_image.trainer.errors import TrainingError
from training_image.trainer.publish import save_adapter

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model, as a repository has it."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<eos>"}')
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that has learned something."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    save_adapter(model, folder, "tiny")
    return folder


def merge(base: Path, adapter: Path, out: Path, shard_bytes: int = 2**30) -> list[set[str]]:
    """The files of each publication, kept in `out`."""
    folder = out / "at-work"
    folder.mkdir(parents=True)
    published: list[set[str]] = []

    def publish() -> None:
        published.append({file.name for file in folder.iterdir()})
        for file in folder.iterdir():
            file.rename(out / file.name)

    merged_weights.write(base, adapter, folder, publish, shard_bytes=shard_bytes)
    return published


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.float()(torch.arange(12).reshape(1, 12)).logits


def test_the_merged_model_answers_as_base_and_adapter_do(base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(base, adapter, tmp_path)

    merged = logits(AutoModelForCausalLM.from_pretrained(tmp_path))
    plain = logits(AutoModelForCausalLM.from_pretrained(base))
    tuned = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)))
    assert (merged - tuned).abs().max() < 0.02 < 0.2 < (plain - tuned).abs().max()


def test_its_files_are_those_that_bedrock_wants(base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(base, adapter, tmp_path)

    files = {file.name for file in tmp_path.iterdir() if file.is_file()}
    config = json.loads((tmp_path / "config.json").read_text())
    assert files == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["chat_template"] == TEMPLATE
    assert config == json.loads((base / "config.json").read_text()) | {"torch_dtype": "bfloat16"}
    weights = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert weights.keys() == load_file(base / "model.safetensors").keys()


def test_a_large_model_is_written_and_taken_away_shard_by_shard(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    published = merge(base, adapter, tmp_path, shard_bytes=16_000)

    *shards, rest = published
    assert len(shards) > 2
    assert all(len(files) == 1 for files in shards)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"].keys() == {"total_size"}
    assert {*index["weight_map"].values()} == {name for files in shards for name in files}
    assert "config.json" in rest
    assert logits(AutoModelForCausalLM.from_pretrained(tmp_path)).isfinite().all()


def test_the_packed_experts_of_gpt_oss_are_unpacked(base: Path, adapter: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    blocks = torch.randint(0, 255, (2, 8, 3, 16), dtype=torch.uint8)
    scales = torch.randint(120, 130, (2, 8, 3), dtype=torch.uint8)
    expert = "model.layers.0.mlp.experts.gate_up_proj"
    save_file(load_file(base / "model.safetensors"), packed / "model-1.safetensors")
    save_file({f"{expert}_blocks": blocks, f"{expert}_scales": scales}, packed / "model-2.safetensors")
    config = {"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}
    (packed / "config.json").write_text(json.dumps(config))
    (packed / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))

    merge(packed, adapter, tmp_path / "out")

    written = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(written[expert], convert_moe_packed_tensors(blocks, scales))
    assert not [name for name in written if name.endswith(("_blocks", "_scales"))]
    settings = json.loads((tmp_path / "out" / "config.json").read_text())
    assert settings == {"model_type": "gpt_oss", "torch_dtype": "bfloat16"}
    ends = json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"]
    assert ends == [200002, 199999, 200012]


def test_an_adapter_of_another_model_is_refused_before_anything_is_written(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save_file({"model.embed_tokens.weight": torch.zeros(4, 4)}, other / "model.safetensors")

    with pytest.raises(
        TrainingError, match=r"the base model has no model\.layers\.0\.mlp\.down_proj\.weight"
    ):
        merge(other, adapter, tmp_path / "out")

    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file()]


def test_a_model_without_a_chat_template_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("model.safetensors", "config.json"):
        (bare / name).write_bytes((base / name).read_bytes())

    with pytest.raises(TrainingError, match="it has no chat template"):
        merge(bare, adapter, tmp_path / "out")
