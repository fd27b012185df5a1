"""The policy in files for another process: what is read from them answers as the policy does."""

from pathlib import Path
from typing import Any

import pytest

from tests import tiny_architectures
from tests.tiny_architectures import Architecture

pytestmark = pytest.mark.slow


def _policy(architecture: str) -> Any:
    """A tiny model of random weights, with an adapter that is not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GptOssConfig, GptOssForCausalLM, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 64,
    }
    targets: dict[str, Any] = {"target_modules": ["q_proj", "v_proj"]}
    model: Any
    if architecture == "gpt-oss":
        model = GptOssForCausalLM(GptOssConfig(**shape, num_local_experts=4, num_experts_per_tok=2))
        targets["target_parameters"] = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**shape, tie_word_embeddings=architecture == "qwen3-tied"))
    policy = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, **targets))
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return policy.eval()


@pytest.mark.parametrize("architecture", ["qwen3", "qwen3-tied", "gpt-oss"])
def test_a_merged_policy_answers_as_the_policy_does_and_leaves_it_alone(
    architecture: str, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from training_image.trainer import policy_files

    policy, ids = _policy(architecture), torch.arange(12)[None]
    before = {name: one.clone() for name, one in policy.state_dict().items()}

    policy_files.write_merged(policy, tmp_path, tmp_path / "merged")

    merged: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    with torch.no_grad():
        said, expected = merged.eval()(ids).logits, policy(ids).logits
        with policy.disable_adapter():
            of_base = policy(ids).logits
    torch.testing.assert_close(said, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(of_base, expected, atol=1e-3)
    assert all(torch.equal(one, before[name]) for name, one in policy.state_dict().items())


@pytest.mark.parametrize("architecture", ["qwen3", "qwen3-moe", "gpt-oss"])
def test_a_policy_without_an_adapter_is_written_whole(architecture: Architecture, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from training_image.trainer import policy_files

    tiny_architectures.build(architecture, tmp_path)
    policy: Any = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.arange(12)[None]

    policy_files.write_merged(policy, tmp_path, tmp_path / "whole")

    read: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    assert read.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(read.eval()(ids).logits, policy(ids).logits)


def test_vllm_gets_the_adapter_alone_unless_it_is_one_of_experts() -> None:
    from training_image.trainer import policy_files

    assert policy_files.has_portable_adapter(_policy("qwen3"))
    assert not policy_files.has_portable_adapter(_policy("gpt-oss"))
    assert not policy_files.has_portable_adapter(_policy("qwen3").get_base_model())


def test_a_step_of_the_optimizer_is_seen_as_another_version() -> None:
    import torch

    from training_image.trainer import policy_files

    policy = _policy("qwen3")
    optimizer = torch.optim.AdamW([one for one in policy.parameters() if one.requires_grad])
    before = policy_files.version(policy)

    policy(torch.arange(12)[None]).logits.sum().backward()
    assert policy_files.version(policy) == before
    optimizer.step()

    assert policy_files.version(policy) > before
