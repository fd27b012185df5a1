"""GPT-OSS, Qwen3 and mixtures of experts, tiny and random, in the real trainer: they are loaded, sampled,
scored, trained, merged and saved like any other model. Attention sinks, sliding windows and experts are what
could go wrong without a word.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from outcrop.base_models import find
from outcrop.hyperparameters import TrainingHyperparameters
from tests import tiny_architectures
from tests.tiny_architectures import EXPERTS, Architecture
from tests.trainer.conftest import HYPERPARAMETERS
from tests.trainer.test_masked_completions import Scripted
from training_image.generate import generate, stop_tokens
from training_image.sampling import Sampling
from training_image.trainer import grpo, merged_weights, policy
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.errors import TrainingError
from training_image.trainer.merging import merged
from training_image.trainer.packing import log_probabilities
from training_image.trainer.sampler import LoopSampler

ALL: tuple[Architecture, ...] = ("gpt-oss", "gpt-oss-mxfp4", "qwen3", "qwen3-moe")
ROWS = [
    {"messages": [{"role": "user", "content": f"What is the capital of {country}?"}]}
    for country in ("France", "the Democratic Republic of the Congo", "Peru")
]

Loaded = tuple[Any, Any]
Load = Callable[[Architecture], Loaded]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Path]:
    folder = tmp_path_factory.mktemp("architectures")
    return {one: tiny_architectures.build(one, folder / one) for one in ALL}


@pytest.fixture
def load(folders: dict[Architecture, Path], monkeypatch: pytest.MonkeyPatch) -> Load:
    """In 32 bits, so that what should be equal is."""
    monkeypatch.setattr(policy, "precision", lambda: torch.float32)
    return lambda architecture: policy.load(folders[architecture], numbers(architecture).attention)


@pytest.fixture(params=ALL)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


def numbers(architecture: Architecture, *, experts: bool = True) -> TrainingHyperparameters:
    """LoRA and attention as the catalogue has them, and LoRA on the experts, too."""
    known = find("openai.gpt-oss-20b" if architecture.startswith("gpt-oss") else "qwen.qwen3-8b")
    assert known
    has_experts = architecture != "qwen3"
    return HYPERPARAMETERS.model_copy(
        update={
            "attention": known.attention,
            "lora_targets": known.lora_targets,
            "lora_parameters": EXPERTS if experts and has_experts else (),
            "lora_r": 4,
            "max_steps": 1,
            "prompts_per_step": 2,
        }
    )


def adapted(loaded: Loaded, architecture: Architecture) -> Any:
    """The model with an adapter that says something: a new one adds nothing yet."""
    model: Any = get_peft_model(loaded[0], policy.adapter(loaded[0], numbers(architecture)))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def prompts(tokenizer: Any) -> list[list[int]]:
    chat = ChatFormat(tokenizer)
    return [chat.tokens({"prompt": row["messages"], "tools": []}) for row in ROWS]


def logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def test_packed_weights_are_loaded_as_numbers_of_the_trainers_precision(load: Load) -> None:
    model, _ = load("gpt-oss-mxfp4")

    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config._attn_implementation == "eager"
    experts = dict(model.named_parameters())["model.layers.0.mlp.experts.down_proj"]
    assert experts.shape == (4, 64, 64) and len(experts.unique()) > 8


@pytest.mark.parametrize("has_adapter", [False, True])
def test_sampling_greedily_is_what_transformers_generates(
    load: Load, architecture: Architecture, has_adapter: bool
) -> None:
    model, tokenizer = load(architecture)
    if has_adapter:
        model = adapted((model, tokenizer), architecture)
    asked = prompts(tokenizer)

    with merged(model) if has_adapter else nullcontext():
        made = generate(model, asked, [Sampling(30, temperature=0)] * len(asked), stop_token_ids=[])

    for prompt, one in zip(asked, made, strict=True):
        ids = torch.tensor([prompt])
        expected = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=30,
            do_sample=False,
            eos_token_id=None,
        )
        assert one.token_ids == expected[0, len(prompt) :].tolist()


def test_completions_end_at_every_token_that_the_model_declares(load: Load) -> None:
    expected = {
        "gpt-oss": ["<|return|>", "<|call|>", "<|endoftext|>"],
        "qwen3": ["<|im_end|>", "<|endoftext|>"],
    }
    for architecture, tokens in expected.items():
        model, tokenizer = load(architecture)  # pyright: ignore[reportArgumentType]

        assert stop_tokens(model, tokenizer) == {*tokenizer.convert_tokens_to_ids(tokens)}


def test_log_probabilities_of_sampler_trainer_and_a_plain_forward_pass_agree(
    load: Load, architecture: Architecture
) -> None:
    loaded = load(architecture)
    model, tokenizer = adapted(loaded, architecture), loaded[1]
    asked = [prompts(tokenizer)[0]] * 3
    samplings = [Sampling(24, seed=seed) for seed in range(3)]

    with merged(model):
        made = generate(model, asked, samplings, stop_token_ids=[])

    for prompt, one in zip(asked, made, strict=True):
        drawn = logits(model, [*prompt, *one.token_ids])[len(prompt) - 1 : -1].log_softmax(dim=-1)
        expected = drawn.gather(1, torch.tensor(one.token_ids)[:, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(one.logprobs), expected, rtol=1e-3, atol=1e-3)
    assert grpo.is_packable(model.config) == (not architecture.startswith("gpt-oss"))
    if grpo.is_packable(model.config):
        packed, _ = log_probabilities(model, asked, [one.token_ids for one in made], 1.0)
        for tree, one in zip(packed, made, strict=True):
            torch.testing.assert_close(tree.detach(), torch.tensor(one.logprobs), rtol=1e-3, atol=1e-3)


def test_the_adapter_is_where_the_catalogue_says(load: Load) -> None:
    def reached(architecture: Architecture, experts: bool) -> set[str]:
        model, _ = load(architecture)
        with_adapter: Any = get_peft_model(
            model, policy.adapter(model, numbers(architecture, experts=experts))
        )
        named = [name for name, one in with_adapter.named_parameters() if one.requires_grad]
        return {name.split(".lora_")[0].split(".layers.")[1].partition(".")[2] for name in named}

    attention = {f"self_attn.{one}_proj" for one in "qkvo"}
    assert reached("gpt-oss", False) == attention
    assert reached("qwen3", False) == attention | {f"mlp.{one}_proj" for one in ("gate", "up", "down")}
    assert reached("qwen3-moe", False) == attention
    assert reached("gpt-oss", True) == attention | {"mlp.experts", "mlp.experts.base_layer"}


def test_the_last_layers_alone_may_have_an_adapter_experts_included(load: Load) -> None:
    model, _ = load("gpt-oss")
    few = numbers("gpt-oss").model_copy(update={"lora_layers": 1})

    with_adapter: Any = get_peft_model(model, policy.adapter(model, few))

    trained = [name for name, one in with_adapter.named_parameters() if one.requires_grad]
    assert trained and all(".layers.3." in name for name in trained)


class _WithoutTheAdapter(LoopSampler):
    """What a server does that was never told of the adapter."""

    def sample(self, model: Any, *arguments: Any, **more: Any) -> Any:
        with model.disable_adapter():
            return generate(model, *arguments, stop_token_ids=[], **more)


def a_trainer(
    loaded: Loaded, architecture: Architecture, out: Path, sampler: LoopSampler | None = None
) -> Any:
    """For one step of two groups of four, whose rewards differ."""
    from training_image.trainer import dataset
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.rollouts import Rollouts

    model, tokenizer = loaded
    spec = numbers(architecture)
    rows: Any = ROWS
    chat = ChatFormat(tokenizer)
    return grpo.GroupTrainer(
        model=model,
        args=grpo.config(spec, seed=7, folder=out),
        train_dataset=dataset.placeholders(2),
        processing_class=tokenizer,
        peft_config=policy.adapter(model, spec),
        rollouts=Rollouts(
            rows=rows,
            prompts=PromptQueue(len(rows), seed=7),
            chat=chat,
            sampler=sampler or LoopSampler(stop_tokens(model, tokenizer)),
            sampling=Sampling(12, temperature=1.0),
            rewards=Rewards(Scripted([1.0, 0.0, 0.5, 0.2] * 2), rows, read=chat.read, failure_limit=1.0),  # pyright: ignore[reportArgumentType]
        ),
        save=lambda: None,
    )


@pytest.mark.slow
def test_a_step_moves_the_adapter_and_nothing_else(
    load: Load, architecture: Architecture, tmp_path: Path
) -> None:
    trainer = a_trainer(load(architecture), architecture, tmp_path)
    before = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}

    trainer.train()

    moved = {name for name, one in trainer.model.named_parameters() if not torch.equal(one, before[name])}
    # A new adapter's B is zero, so its A has no gradient in the first step.
    assert moved == {name for name in before if ".lora_B." in name}
    [gap] = [
        log["sampling_logp_difference"]
        for log in trainer.state.log_history
        if "sampling_logp_difference" in log
    ]
    assert gap < 1e-4


@pytest.mark.slow
def test_a_sampler_that_leaves_the_adapter_out_ends_the_job(
    load: Load, architecture: Architecture, tmp_path: Path
) -> None:
    loaded = load(architecture)
    trainer = a_trainer(loaded, architecture, tmp_path, _WithoutTheAdapter(stop_tokens(*loaded)))
    for name, parameter in trainer.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.1)

    with pytest.raises(TrainingError, match="Completions are not sampled from the policy in training"):
        trainer.train()


def test_an_adapter_merged_or_saved_and_loaded_is_the_same_policy(
    load: Load, architecture: Architecture, tmp_path: Path
) -> None:
    loaded = load(architecture)
    model, ids = adapted(loaded, architecture), prompts(loaded[1])[1]
    expected = logits(model, ids)
    with model.disable_adapter():
        base = logits(model, ids)
    model.save_pretrained(tmp_path)

    with merged(model):
        in_one = logits(model, ids)
    again: Any = PeftModel.from_pretrained(load(architecture)[0], tmp_path).eval()

    assert (expected - base).abs().max() > 0.1
    torch.testing.assert_close(in_one, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(logits(again, ids), expected, rtol=1e-5, atol=1e-5)


def test_the_merged_files_are_the_tuned_model(
    load: Load, architecture: Architecture, folders: dict[Architecture, Path], tmp_path: Path
) -> None:
    """What Bedrock imports: weights in bfloat16 with the adapter in them, experts' included."""
    loaded = load(architecture)
    model = adapted(loaded, architecture)
    model.save_pretrained(tmp_path / "adapter")
    (tmp_path / "merged").mkdir()

    merged_weights.write(folders[architecture], tmp_path / "adapter", tmp_path / "merged", lambda: None)

    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    with merged(model):
        expected = {
            name.removeprefix("base_model.model.").replace(".base_layer", ""): one.detach().clone()
            for name, one in model.named_parameters()
            if ".lora_" not in name
        }
    assert expected.keys() == dict(whole.named_parameters()).keys()
    assert "quantization_config" not in whole.config.to_dict()
    for name, weight in whole.named_parameters():
        torch.testing.assert_close(weight, expected[name], rtol=2**-7, atol=2e-3)


def _folder(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    import json

    folder = tiny_architectures.build("qwen3", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"its folder has no \.safetensors file"):
        policy.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "qwen9"}, "config.json cannot be read: .*qwen9"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantized by gptq, which cannot be"),
    ],
)
def test_a_model_that_cannot_be_trained_here_is_told_by_what_it_is(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = _folder(tmp_path, lambda config: config.update(change))

    with pytest.raises(TrainingError, match=message):
        policy.load(folder)


def test_layers_that_the_model_does_not_have_are_told(load: Load) -> None:
    model, _ = load("qwen3")
    spec = numbers("qwen3")

    with pytest.raises(TrainingError, match="lora_targets: the model has no linear layer 'w1'"):
        policy.adapter(model, spec.model_copy(update={"lora_targets": ("q_proj", "w1")}))
    with pytest.raises(TrainingError, match=r"no parameter that ends in 'mlp\.experts\.down_proj'"):
        policy.adapter(model, spec.model_copy(update={"lora_parameters": EXPERTS[1:]}))
