"""The run itself, on the first host of a cluster that is there: spec in, adapter out, by verl.

Its contract is that of `training_image.train`. It ends with 0 also when the job was cancelled or paused.
"""

# pyright: reportMissingImports=false
# verl and Ray are in this image alone.

import json
import signal
import threading
from pathlib import Path
from typing import Any

from outcrop.training_spec import TrainingSpec
from training_image.train import under_contract
from training_image.trainer import dataset, preflight
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.history import History
from training_image.trainer.run_report import RunReport
from training_image.trainer.step_events import StepEvents
from training_image.verl import checkpoints, config, files
from training_image.verl.cluster import hosts
from training_image.verl.reporting import Reporting


def main() -> None:
    under_contract(train)


def train(spec: TrainingSpec, root: Path, stop: threading.Event) -> None:
    import torch
    from transformers import AutoConfig, AutoTokenizer

    numbers, channels, state = spec.hyperparameters, root / "input/data", root / "checkpoints"
    events = StepEvents(spec.project, spec.job_id)
    rows = dataset.rows(channels / "training")
    validation = dataset.rows(channels / "validation") if (channels / "validation").is_dir() else []
    model = AutoConfig.from_pretrained(channels / "model")
    chat = ChatFormat(AutoTokenizer.from_pretrained(channels / "model"), numbers.reasoning_effort)
    longest = preflight.check_lengths(
        {"training": rows, "validation": validation},
        chat,
        context=model.max_position_embeddings,
        completion=numbers.max_completion_length,
    )
    cluster = config.Cluster(
        hosts=len(hosts(root).all),
        gpus=torch.cuda.device_count(),  # one instance type for all hosts
        heads=model.num_attention_heads,
        key_value_heads=getattr(model, "num_key_value_heads", model.num_attention_heads),
        longest_prompt=longest,
    )
    overrides = config.translate(spec, cluster, root, validates=bool(validation))
    resumed = checkpoints.newest(
        state,
        cluster.hosts * cluster.gpus,
        lambda folder, problem: events.append(
            "warn", f"Checkpoint {folder.name} was passed over: {problem}."
        ),
    )
    if resumed:
        preflight.check_checkpoint(resumed, spec)
    history = (
        History.from_json(json.loads((resumed / checkpoints.HISTORY).read_bytes())) if resumed else History()
    )
    overrides |= {
        "trainer.resume_mode": "resume_path" if resumed else "disable",
        "trainer.resume_from_path": str(resumed) if resumed else None,
        "trainer.val_before_train": bool(validation) and resumed is None,
    }
    for name, its_rows in ((files.TRAINING, rows), (files.VALIDATION, validation or rows[:1])):
        files.write(root / "verl", name, len(its_rows))
    report = RunReport(
        spec, history, events, validation, base=channels / "model", is_told_to_stop=stop.is_set
    )
    report.begin(
        len(rows),
        len(validation),
        resumed_at=checkpoints.step_of(resumed) if resumed else None,
        where=f", on {cluster.hosts} machines with {cluster.gpus} GPUs each, by verl",
    )
    if not resumed:
        for text in config.left_out(numbers):
            report.warn(0, text)
    reporting = Reporting(spec, report, rows, validation)
    if not resumed or checkpoints.step_of(resumed) < numbers.max_steps:
        _fit(spec, config.arguments(overrides), reporting, state, stop)
    if not reporting.was_stopped:
        report.finish(root / "model")


def _fit(
    spec: TrainingSpec, arguments: list[str], reporting: Reporting, state: Path, stop: threading.Event
) -> None:
    """As verl's own `TaskRunnerV1.run`, but in this process, which SIGTERM reaches."""
    import ray
    import transfer_queue as tq
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.trainer.ppo.v1 import AgentLoopManagerTQ
    from verl.utils.config import validate_config

    from training_image.verl.trainer import OutcropTrainer

    with initialize_config_module("verl.trainer.config", version_base=None):
        settings: Any = compose("ppo_trainer", overrides=arguments)
    validate_config(
        config=settings,
        use_reference_policy=need_reference_policy(settings),
        use_critic=need_critic(settings),
    )
    settings.transfer_queue.enable = True
    OmegaConf.resolve(settings)
    environment = get_ppo_ray_runtime_env(settings)
    environment.setdefault("env_vars", {})["TRANSFER_QUEUE_ENABLE"] = "1"
    ray.init(address="auto", runtime_env=environment)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())  # Ray has put its own there
    tq.init(settings.transfer_queue)
    try:
        trainer = OutcropTrainer(config=settings)
        trainer.spec, trainer.reporting, trainer.state = spec, reporting, state
        trainer.init()
        trainer.fit(
            AgentLoopManagerTQ.create(
                config=settings,
                llm_client=trainer.get_llm_client(),
                teacher_client=trainer.get_teacher_client(),
                reward_loop_worker_handles=trainer.get_reward_handles(),
            )
        )
    finally:
        tq.close()


if __name__ == "__main__":
    main()
