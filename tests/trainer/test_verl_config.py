"""Each hyperparameter has an answer in verl's words, and verl 0.9.1 has those words (`verl_config.json`, read
from its source by `scripts/verl_config.py`)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.training_spec import TrainingSpec
from outcrop.types.grader import Grader
from tests import factories
from tests.trainer.conftest import HYPERPARAMETERS
from training_image.trainer.errors import TrainingError
from training_image.verl import config

KNOWN: dict[str, Any] = json.loads((Path(__file__).parent / "verl_config.json").read_bytes())
CLUSTER = config.Cluster(hosts=2, gpus=8, heads=64, key_value_heads=8, longest_prompt=100)
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


def translated(*, response_format: dict[str, Any] | None = None, **changes: Any) -> config.Overrides:
    spec = TrainingSpec(
        project="acme",
        job_id="ftjob-1",
        attempt=1,
        base_model="qwen.qwen3-32b",
        fine_tuned_model="ft:qwen",
        grader=TypeAdapter(Grader).validate_python(factories.STRING_CHECK),
        hyperparameters=HYPERPARAMETERS.model_copy(update=changes),
        seed=7,
        response_format=response_format,
    )
    return config.translate(spec, CLUSTER, Path("/opt/ml"), validates=True)


def test_every_hyperparameter_has_an_answer() -> None:
    assert config.ANSWERS.keys() == TrainingHyperparameters.model_fields.keys()


def test_verl_knows_every_key() -> None:
    found = translated()

    assert [one for one in found if not one.startswith("+") and one not in KNOWN["keys"]] == []
    added = [one.removeprefix("+") for one in found if one.startswith("+")]
    assert {*added} - {*KNOWN["further"]} == {"actor_rollout_ref.model.override_config.attn_implementation"}
    assert "actor_rollout_ref.model.override_config" in KNOWN["keys"]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("max_steps", 12, {"trainer.total_training_steps": 12, "trainer.total_epochs": 12}),
        ("prompts_per_step", 3, {"data.train_batch_size": 3, f"{ACTOR}.ppo_mini_batch_size": 3}),
        ("num_generations", 6, {f"{ROLLOUT}.n": 6}),
        ("learning_rate", 3e-5, {f"{ACTOR}.optim.lr": 3e-5}),
        ("max_completion_length", 77, {"data.max_response_length": 77}),
        ("temperature", 0.7, {f"{ROLLOUT}.temperature": 0.7, f"{ROLLOUT}.val_kwargs.temperature": 0.7}),
        ("beta", 0.04, {f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.kl_loss_coef": 0.04}),
        ("beta", 0.0, {f"{ACTOR}.use_kl_loss": False}),
        ("scale_rewards", "none", {"algorithm.norm_adv_by_std_in_grpo": False}),
        ("epsilon", 0.1, {f"{ACTOR}.clip_ratio_low": 0.1}),
        ("epsilon_high", 0.3, {f"{ACTOR}.clip_ratio_high": 0.3}),
        ("eval_interval", 5, {"trainer.test_freq": 5}),
        ("eval_samples", 3, {f"{ROLLOUT}.val_kwargs.n": 4}),
        ("lora_r", 16, {"actor_rollout_ref.model.lora_rank": 16, "actor_rollout_ref.model.lora_alpha": 32}),
        ("lora_targets", ("q_proj",), {"actor_rollout_ref.model.target_modules": ["q_proj"]}),
        ("lora_targets", (), {"actor_rollout_ref.model.target_modules": "all-linear"}),
        ("attention", "sdpa", {"+actor_rollout_ref.model.override_config.attn_implementation": "sdpa"}),
    ],
)
def test_a_hyperparameter_becomes_verls(field: str, value: Any, expected: config.Overrides) -> None:
    found = translated(**{field: value})

    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("loss", "level", "mode", "mean"),
    [
        ("dapo", "token", "vanilla", "token-mean"),
        ("grpo", "token", "vanilla", "seq-mean-token-mean"),
        ("dr_grpo", "token", "vanilla", "seq-mean-token-sum-norm"),
        ("cispo", "token", "cispo", "token-mean"),
        ("sapo", "token", "sapo", "seq-mean-token-mean"),
        ("grpo", "sequence", "gspo", "seq-mean-token-mean"),
    ],
)
def test_a_loss_becomes_verls(loss: str, level: str, mode: str, mean: str) -> None:
    found = translated(loss_type=loss, importance_sampling_level=level)

    assert found[f"{ACTOR}.policy_loss.loss_mode"] == mode in ["vanilla", *KNOWN["loss_modes"]]
    assert found[f"{ACTOR}.loss_agg_mode"] == mean in KNOWN["loss_agg_modes"]


def test_cispo_bounds_the_ratio_itself_from_above_alone() -> None:
    found = translated(loss_type="cispo", epsilon_high=5.0)

    assert (found[f"{ACTOR}.clip_ratio_low"], found[f"{ACTOR}.clip_ratio_high"]) == (1.0, 4.0)


def test_dr_grpo_divides_by_the_longest_completion() -> None:
    assert translated(loss_type="dr_grpo")[f"{ACTOR}.loss_scale_factor"] == 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss_type", "bnpo"),
        ("loss_type", "vespo"),
        ("loss_type", "luspo"),
        ("num_iterations", 2),
        ("lora_layers", 12),
        ("lora_parameters", ("experts.gate_up_proj",)),
        ("attention", "eager"),
        ("scale_rewards", "batch"),
        ("response_format", {"type": "json_object"}),
    ],
)
def test_what_verl_cannot_do_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=f"^{field}: .*instance_count"):
        translated(**{field: value})


def test_all_weights_learn_on_one_machine_alone() -> None:
    with pytest.raises(TrainingError, match=r"^finetuning_type: .*instance_count"):
        translated(lora_r=0)


def test_a_budget_for_fresh_prompts_is_told_to_be_left_out() -> None:
    asked = HYPERPARAMETERS.model_copy(update={"dynamic_sampling_budget": 1.0})

    assert config.left_out(HYPERPARAMETERS) == []
    (told,) = config.left_out(asked)
    assert told.startswith("dynamic_sampling_budget is 1, but on several machines")


@pytest.mark.parametrize(
    ("gpus", "heads", "groups", "expected"), [(8, 64, 8, 4), (8, 9, 3, 1), (2, 16, 8, 2)]
)
def test_a_sampler_is_spread_over_gpus_that_share_out_its_heads(
    gpus: int, heads: int, groups: int, expected: int
) -> None:
    cluster = replace(CLUSTER, gpus=gpus, heads=heads, key_value_heads=groups)

    assert cluster.sampler_gpus == expected


def test_no_validation_file_is_no_validation() -> None:
    spec = TrainingSpec.model_construct(
        project="p", job_id="j", hyperparameters=HYPERPARAMETERS, seed=1, response_format=None
    )

    found = config.translate(spec, CLUSTER, Path("/opt/ml"), validates=False)

    assert found["trainer.test_freq"] == -1


def test_arguments_are_written_as_hydra_reads_them() -> None:
    assert config.arguments({"a.b": True, "c": None, "d": ["x y", 1], "e": 1e-05, "f": "it's"}) == [
        "a.b=true",
        "c=null",
        "d=['x y',1]",
        "e=1e-05",
        "f='it\\'s'",
    ]


def test_the_methods_that_are_adapted_are_there() -> None:
    """Their parameters, which `training_image/verl/trainer.py` passes on."""
    assert {
        name: KNOWN["methods"]["PPOTrainer"][name]
        for name in ("_validate", "_compute_advantage", "_compute_metrics", "_save_checkpoint")
    } == {
        "_validate": [],
        "_compute_advantage": ["batch", "metrics"],
        "_compute_metrics": ["batch", "metrics", "timing_raw", "global_steps", "epoch"],
        "_save_checkpoint": [],
    }
