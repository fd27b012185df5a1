"""The straightforward TRL script a competent user would write for a demo task: our baseline.

Same model, data, grader, LoRA shape, batch, learning rate and evaluation as Outcrop's job; everything else is
TRL 1.16 as its documentation shows it. Trains until the greedy validation reward reaches `--target`, then
prints one JSON line with its curve. Run: python -m benchmarks.plain_trl --task json_extraction --target 0.8
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from local.cache import weights
from outcrop.base_models import offered
from outcrop.cli.demo import TASKS
from outcrop.cli.demo_exam import grader_handler, score
from outcrop.cli.local import DEFAULT_MODEL

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="json_extraction")
    parser.add_argument("--target", type=float, default=0.8, help="validation reward to reach")
    parser.add_argument("--eval-interval", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    started = time.monotonic()

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl.trainer.grpo_trainer import GRPOTrainer

    folder = TASKS / asked.task
    handler = grader_handler(folder / "grader.py")
    training, validation = (_rows(folder / f"{name}.jsonl") for name in ("training", "validation"))
    recipe = json.loads((folder / "job.json").read_text())
    entry = offered(DEFAULT_MODEL, [DEFAULT_MODEL])
    tokenizer: Any = AutoTokenizer.from_pretrained(weights(DEFAULT_MODEL), padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(weights(DEFAULT_MODEL), dtype=torch.float32)

    def reward(completions: list[Any], row: list[str], **_: Any) -> list[float | None]:
        texts = [completion[0]["content"] for completion in completions]
        return [*score(handler, [json.loads(one) for one in row], texts)]

    @torch.no_grad()
    def evaluate(policy: Any) -> float:
        prompts = [
            tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True, tokenize=False)
            for row in validation
        ]
        batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        ids = policy.generate(**batch, max_new_tokens=recipe["max_completion_length"], do_sample=False)
        texts = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        rewards = score(handler, validation, texts)
        return sum(rewards) / len(rewards)

    curve: list[dict[str, float]] = []

    class StopAtTarget(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            if state.global_step % asked.eval_interval and state.global_step < state.max_steps:
                return control
            kwargs["model"].eval()
            reached = evaluate(kwargs["model"])
            kwargs["model"].train()
            seconds = time.monotonic() - started
            curve.append({"step": state.global_step, "valid_reward": reached, "seconds": seconds})
            print(curve[-1], flush=True)
            control.should_training_stop = reached >= asked.target
            return control

    prompts = recipe["batch_size"]
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[reward],
        train_dataset=Dataset.from_list(
            [{"prompt": row["messages"], "row": json.dumps(row)} for row in training]
        ),
        processing_class=tokenizer,
        peft_config=adapter(model, lora_r=entry.lora_r, lora_layers=entry.lora_layers),
        callbacks=[StopAtTarget()],
        args=settings(
            ".outcrop/bench/plain_trl",
            prompts=prompts,
            num_generations=entry.num_generations,
            max_completion_length=recipe["max_completion_length"],
            max_steps=recipe.get("n_epochs", 1) * -(-len(training) // prompts),
            learning_rate=entry.learning_rate * recipe.get("learning_rate_multiplier", 1.0),
            seed=asked.seed,
        ),
    )
    evaluate(model)  # Outcrop's job evaluates the base model, too
    trainer.train()
    reached = bool(curve) and curve[-1]["valid_reward"] >= asked.target
    print(json.dumps({"who": "plain TRL", "reached": reached, "curve": curve}))


def adapter(model: Any, *, lora_r: int, lora_layers: int | None) -> Any:
    """LoRA on the linear layers of the last `lora_layers` layers, or of all."""
    from peft import LoraConfig

    layers = model.config.num_hidden_layers
    return LoraConfig(
        r=lora_r,
        lora_alpha=2 * lora_r,
        target_modules=LINEAR,
        layers_to_transform=list(range(layers - (lora_layers or layers), layers)),
        task_type="CAUSAL_LM",
    )


def settings(folder: str, *, prompts: int, num_generations: int, **numbers: Any) -> Any:
    """A `GRPOConfig` whose step is one batch of all completions."""
    import torch
    from trl.trainer.grpo_config import GRPOConfig

    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=prompts * num_generations,
        num_generations=num_generations,
        lr_scheduler_type="constant",
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **numbers,
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
