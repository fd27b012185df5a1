"""`TrainingSpec` in verl's words: each hyperparameter becomes settings of verl 0.9.1, is kept by our own code
around verl, or is refused by its name. Pure.

Keys are those of verl's `trainer/config/ppo_trainer.yaml`, joined by dots; tests hold them to the release.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.training_spec import TrainingSpec
from training_image.trainer import schedule
from training_image.trainer.errors import TrainingError

Overrides = dict[str, Any]

_ACTOR = "actor_rollout_ref.actor"
_MODEL = "actor_rollout_ref.model"
_ROLLOUT = "actor_rollout_ref.rollout"
_NO_DUAL_CLIP = 1e6
"""verl bounds the ratio of a completion with a negative advantage a second time; TRL does not."""
_LEAST_TOKENS = 16384
"""Of a micro-batch of one GPU, though completions be short."""
_MOST_GPUS_OF_A_SAMPLER = 4


@dataclass(frozen=True)
class Cluster:
    """What a job runs on, and what its model and files want of it."""

    hosts: int
    gpus: int
    """Of each host."""
    heads: int
    """Attention heads of the model."""
    key_value_heads: int
    longest_prompt: int
    """Tokens."""

    @property
    def sampler_gpus(self) -> int:
        """Over which one copy of the model is spread to sample: as many as share out its heads."""
        sizes = [_MOST_GPUS_OF_A_SAMPLER >> shift for shift in range(_MOST_GPUS_OF_A_SAMPLER.bit_length())]
        return next(
            size
            for size in sizes
            if size and not (self.gpus % size or self.heads % size or self.key_value_heads % size)
        )


def translate(spec: TrainingSpec, cluster: Cluster, root: Path, *, validates: bool) -> Overrides:
    """`root`: SageMaker's folder; the same files lie there on every host. `validates`: there is a validation
    file.

    Raises: TrainingError that names what verl cannot do as asked.
    """
    numbers = spec.hyperparameters
    if spec.response_format and spec.response_format.get("type", "text") != "text":
        raise _refused("response_format", "verl does not hold completions to a form")
    found = _of_the_run(spec, cluster, root)
    for answer in ANSWERS.values():
        found |= answer(numbers)
    if not validates:
        found["trainer.test_freq"] = -1
    return found


def _of_the_run(spec: TrainingSpec, cluster: Cluster, root: Path) -> Overrides:
    """What no hyperparameter says: the machines, the files, and how TRL and our trainer do what verl does
    otherwise by default."""
    tokens = max(_LEAST_TOKENS, cluster.longest_prompt + spec.hyperparameters.max_completion_length)
    return {
        "trainer.nnodes": cluster.hosts,
        "trainer.n_gpus_per_node": cluster.gpus,
        "trainer.use_v1": True,
        "trainer.v1.trainer_mode": "sync",
        "trainer.project_name": spec.project,
        "trainer.experiment_name": spec.job_id,
        "trainer.logger": ["console"],
        "trainer.default_local_dir": str(root / "checkpoints"),
        "trainer.save_freq": -1,  # our trainer saves when it has reported the step
        "trainer.max_actor_ckpt_to_keep": 2,
        "trainer.val_before_train": False,  # train.py asks for it, if there is none of step 0
        "data.train_files": [str(root / "verl/training.jsonl")],
        "data.val_files": [str(root / "verl/validation.jsonl")],
        "data.max_prompt_length": cluster.longest_prompt,
        "data.shuffle": True,
        "data.seed": spec.seed,
        "data.dataloader_num_workers": 0,
        "data.filter_overlong_prompts": False,  # the preflight has refused them
        f"{_MODEL}.path": str(root / "input/data/model"),
        f"{_MODEL}.use_remove_padding": False,  # it wants flash attention, which the image does not have
        f"{_MODEL}.lora.merge": True,  # the sampler reads merged weights: it takes no LoRA on parameters
        f"{_ACTOR}.strategy": "fsdp2",
        f"{_ACTOR}.use_dynamic_bsz": True,
        f"{_ACTOR}.ppo_max_token_len_per_gpu": tokens,
        f"{_ACTOR}.clip_ratio_c": _NO_DUAL_CLIP,
        f"{_ACTOR}.entropy_coeff": 0,
        f"{_ACTOR}.calculate_entropy": True,
        f"{_ACTOR}.optim.weight_decay": 0.0,
        f"{_ACTOR}.optim.betas": [*schedule.BETAS],
        f"{_ACTOR}.optim.lr_scheduler_type": "cosine",
        f"{_ACTOR}.optim.lr_warmup_steps": schedule.rising(spec.hyperparameters.max_steps),
        f"{_ACTOR}.optim.min_lr_ratio": schedule.LEAST,
        f"{_ACTOR}.optim.zero_indexed_step": False,
        f"{_ACTOR}.grad_clip": 1.0,
        f"{_ACTOR}.data_loader_seed": spec.seed,
        f"{_ACTOR}.fsdp_config.seed": spec.seed,
        f"+{_ACTOR}.checkpoint.save_lora_only": True,
        f"{_ROLLOUT}.name": "vllm",
        f"{_ROLLOUT}.seed": spec.seed,
        f"{_ROLLOUT}.tensor_model_parallel_size": cluster.sampler_gpus,
        f"{_ROLLOUT}.max_model_len": tokens,
        f"{_ROLLOUT}.agent.default_agent_loop": "outcrop",
        f"{_ROLLOUT}.agent.agent_loop_config_path": str(Path(__file__).with_name("agent_loops.yaml")),
        "algorithm.adv_estimator": "grpo",
        "algorithm.use_kl_in_reward": False,
        "algorithm.filter_groups.enable": False,
        "ray_kwargs.ray_init.num_cpus": None,  # of a cluster that is there already
    }


def _refused(field: str, why: str) -> TrainingError:
    return TrainingError(
        f"{field}: {why}. Change it, or train this model on one machine (instance_count in cdk.json)."
    )


def _loss(numbers: TrainingHyperparameters) -> Overrides:
    mode, mean = _LOSSES.get((numbers.loss_type, numbers.importance_sampling_level), ("", ""))
    if not mode:
        at = "" if numbers.importance_sampling_level == "token" else " at the level of sequences"
        raise _refused("loss_type", f"verl has no loss like TRL's {numbers.loss_type}{at}")
    found: Overrides = {f"{_ACTOR}.policy_loss.loss_mode": mode, f"{_ACTOR}.loss_agg_mode": mean}
    if numbers.loss_type == "dr_grpo":
        found[f"{_ACTOR}.loss_scale_factor"] = numbers.max_completion_length
    return found


# TRL's loss_type and importance_sampling_level to verl's loss_mode and loss_agg_mode.
_LOSSES = {
    ("dapo", "token"): ("vanilla", "token-mean"),
    ("grpo", "token"): ("vanilla", "seq-mean-token-mean"),
    ("dr_grpo", "token"): ("vanilla", "seq-mean-token-sum-norm"),
    ("cispo", "token"): ("cispo", "token-mean"),
    ("sapo", "token"): ("sapo", "seq-mean-token-mean"),  # its temperatures are TRL's by default
    ("grpo", "sequence"): ("gspo", "seq-mean-token-mean"),
}


def _clipping(numbers: TrainingHyperparameters) -> Overrides:
    """Of cispo, TRL's `epsilon_high` is the largest ratio itself, and there is no smallest."""
    if numbers.loss_type == "cispo":
        low, high = 1.0, numbers.epsilon_high - 1
    else:
        low, high = numbers.epsilon, numbers.epsilon_high
    return {
        f"{_ACTOR}.clip_ratio": low,
        f"{_ACTOR}.clip_ratio_low": low,
        f"{_ACTOR}.clip_ratio_high": high,
    }


def _scale_rewards(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.scale_rewards not in ("group", "none"):
        raise _refused("scale_rewards", f"verl does not know '{numbers.scale_rewards}'")
    return {"algorithm.norm_adv_by_std_in_grpo": numbers.scale_rewards == "group"}


def _num_iterations(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.num_iterations != 1:
        raise _refused("num_iterations", "on several machines each batch is learned from once")
    return {f"{_ACTOR}.ppo_epochs": 1}


def _lora_r(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.learns_all_weights:
        raise _refused("finetuning_type", "all weights learn on one machine only")
    return {f"{_MODEL}.lora_rank": numbers.lora_r, f"{_MODEL}.lora_alpha": 2 * numbers.lora_r}


def _lora_layers(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.lora_layers is not None:
        raise _refused("lora_layers", "verl puts LoRA on all layers, not on the last ones alone")
    return {}


def _lora_targets(numbers: TrainingHyperparameters) -> Overrides:
    """PEFT's "all-linear" is what ours is where none is named, except that it takes a mixture's router along:
    mixtures name theirs."""
    return {f"{_MODEL}.target_modules": [*numbers.lora_targets] or "all-linear"}


def _lora_parameters(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.lora_parameters:
        raise _refused(
            "lora_parameters",
            "LoRA on expert parameters, and de-quantizing MXFP4 for it, is not translated to verl",
        )
    return {}


def _attention(numbers: TrainingHyperparameters) -> Overrides:
    if numbers.attention != "sdpa":  # a model that needs it is GPT-OSS, whose MXFP4 weights verl cannot train
        raise _refused("attention", "only sdpa is translated to verl")
    return {f"+{_MODEL}.override_config.attn_implementation": numbers.attention}


def _beta(numbers: TrainingHyperparameters) -> Overrides:
    return {
        f"{_ACTOR}.use_kl_loss": numbers.beta > 0,
        f"{_ACTOR}.kl_loss_coef": numbers.beta,
        f"{_ACTOR}.kl_loss_type": "low_var_kl",  # TRL's estimator
    }


def _by_us(numbers: TrainingHyperparameters) -> Overrides:
    """Our own code around verl does it: the agent loop, the reporter, or the trainer."""
    return {}


ANSWERS: dict[str, Callable[[TrainingHyperparameters], Overrides]] = {
    "max_steps": lambda numbers: {
        "trainer.total_training_steps": numbers.max_steps,
        "trainer.total_epochs": numbers.max_steps,  # a pass has one step at least
    },
    "prompts_per_step": lambda numbers: {
        "data.train_batch_size": numbers.prompts_per_step,
        f"{_ACTOR}.ppo_mini_batch_size": numbers.prompts_per_step,
    },
    "num_generations": lambda numbers: {f"{_ROLLOUT}.n": numbers.num_generations},
    "learning_rate": lambda numbers: {f"{_ACTOR}.optim.lr": numbers.learning_rate},
    "max_completion_length": lambda numbers: {"data.max_response_length": numbers.max_completion_length},
    "temperature": lambda numbers: {
        f"{_ROLLOUT}.temperature": numbers.temperature,
        f"{_ROLLOUT}.val_kwargs.temperature": numbers.temperature,  # the agent loop's first one is greedy
    },
    "beta": _beta,
    "loss_type": _loss,
    "importance_sampling_level": _loss,
    "scale_rewards": _scale_rewards,
    "epsilon": _clipping,
    "epsilon_high": _clipping,
    "num_iterations": _num_iterations,
    "overlong_completions": _by_us,  # trainer.py masks them
    "dynamic_sampling_budget": _by_us,  # left_out() says so: verl's own has no end where all is solved
    "eval_interval": lambda numbers: {"trainer.test_freq": numbers.eval_interval},
    "eval_samples": lambda numbers: {
        f"{_ROLLOUT}.val_kwargs.n": 1 + numbers.eval_samples,
        f"{_ROLLOUT}.val_kwargs.do_sample": True,
    },
    "save_steps": _by_us,
    "early_stopping_patience": _by_us,
    "lora_r": _lora_r,
    "lora_layers": _lora_layers,
    "lora_targets": _lora_targets,
    "lora_parameters": _lora_parameters,
    "attention": _attention,
    "reasoning_effort": _by_us,  # the agent loop writes prompts as one machine does
    "grader_warning_limit": _by_us,
    "grader_failure_limit": _by_us,
}
"""An answer to each hyperparameter."""


def left_out(numbers: TrainingHyperparameters) -> list[str]:
    """What is not done as on one machine, though the job asks for it, each in a sentence for its events."""
    found: list[str] = []
    if numbers.dynamic_sampling_budget > 0:
        found.append(
            f"dynamic_sampling_budget is {numbers.dynamic_sampling_budget:g}, but on several machines groups "
            "whose rewards are all equal are not replaced by fresh ones; they teach nothing."
        )
    return found


def arguments(overrides: Overrides) -> list[str]:
    """As Hydra takes them on a command line."""
    return [f"{name}={_written(value)}" for name, value in overrides.items()]


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{','.join(_written(one) for one in value)}]"
        case str():
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{quoted}'"
        case _:
            return repr(value)
