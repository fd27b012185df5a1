"""The same steps twice: Outcrop's trainer writes completions down, and any trainer takes the steps again on
them. What differs is how long a step takes, not what it learns: each is told with its loss and gradient.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Any
from unittest.mock import patch

import torch
from datasets import Dataset
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PrinterCallback, TrainerCallback, set_seed

from benchmarks import plain_trl
from outcrop.graders.reward import GradedCompletion, Reward
from outcrop.hyperparameters import TrainingHyperparameters
from training_image import generate
from training_image.trainer import dataset, grpo, policy, schedule
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.prompts import PromptQueue
from training_image.trainer.rewards import Rewards
from training_image.trainer.rollouts import Rollouts
from training_image.trainer.sampler import LoopSampler

Score = Callable[[Sequence[dict[str, Any]], Sequence[str]], list[float]]
"""From rows and the completions' texts to rewards."""


@dataclass(frozen=True)
class Task:
    weights: Path
    rows: list[dict[str, Any]]
    score: Score
    numbers: TrainingHyperparameters
    seed: int = 7


@dataclass(frozen=True)
class Completions:
    prompts: list[list[int]] = field(default_factory=list)
    """In the order in which they were sampled, one for each completion."""
    tokens: list[list[int]] = field(default_factory=list)
    by_seed: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    loss: float
    grad_norm: float
    reward: float
    seconds: float
    cpu_seconds: float
    """Of all threads."""
    sampling: float | None = None
    """Of `seconds`, where the trainer says so."""


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.taken: list[tuple[float, float]] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        wall, cpu = self._began
        self.taken.append((time.perf_counter() - wall, time.process_time() - cpu))


class _Recorder(LoopSampler):
    def __init__(self, stop_token_ids: frozenset[int], into: Completions) -> None:
        super().__init__(stop_token_ids)
        self._into = into
        self.seconds: list[float] = []

    def sample(self, model: Any, prompts: Any, samplings: Any, **more: Any) -> Any:
        started = time.perf_counter()
        made = super().sample(model, prompts, samplings, **more)
        self.seconds.append(time.perf_counter() - started)
        for prompt, sampling, one in zip(prompts, samplings, made, strict=True):
            tokens = one.token_ids + ([one.stop[0]] if one.stop else [])
            self._into.prompts.append(list(prompt))
            self._into.tokens.append(tokens)
            self._into.by_seed[sampling.seed] = tokens
        return made


@dataclass(frozen=True)
class _Grader:
    score: Score

    def round(self) -> "_Grader":
        return self

    def submit(self, completions: Sequence[GradedCompletion]) -> None:
        pass

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        rewards = self.score([dict(one.item) for one in completions], [one.text for one in completions])
        return [Reward(reward, None, None, {}, 0.0) for reward in rewards]


def outcrop(task: Task, repeat: Completions | None = None) -> tuple[list[Step], Completions]:
    """Outcrop's trainer, on completions of its own or on those of an earlier run."""
    set_seed(task.seed)
    model, tokenizer = policy.load(task.weights)
    numbers, chat, clock, made = task.numbers, ChatFormat(tokenizer), Clock(), Completions()
    sampler = _Recorder(generate.stop_tokens(model, tokenizer), made)
    with tempfile.TemporaryDirectory() as folder, _repeated(repeat):
        trainer = grpo.GroupTrainer(
            model=model,
            args=grpo.config(numbers, seed=task.seed, folder=Path(folder)),
            train_dataset=dataset.placeholders(numbers.max_steps * numbers.prompts_per_step),
            processing_class=tokenizer,
            peft_config=policy.adapter(model, numbers),
            callbacks=[clock],
            rollouts=Rollouts(
                rows=task.rows,
                prompts=PromptQueue(len(task.rows), task.seed),
                chat=chat,
                sampler=sampler,
                sampling=generate.Sampling(numbers.max_completion_length, numbers.temperature),
                rewards=Rewards(_Grader(task.score), task.rows, read=chat.read, failure_limit=1.0),
            ),
            save=lambda: None,
        )
        trainer.train()
    return _steps(trainer, clock, sampler.seconds), made


def plain(task: Task, repeat: Completions) -> list[Step]:
    """TRL's trainer as its documentation shows it, on the completions of an earlier run."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.grpo_trainer import GRPOTrainer

    set_seed(task.seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(task.weights, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(task.weights, dtype=policy.precision())
    numbers, clock = task.numbers, Clock()
    chat = ChatFormat(tokenizer)
    questions = [dataset.question(task.rows, index) for index in range(len(task.rows))]
    asked = {tuple(chat.tokens(one)): one for one in questions}
    taken = [asked[tuple(prompt)] for prompt in repeat.prompts[:: numbers.num_generations]]

    def reward(completions: list[Any], index: list[int], **_: Any) -> list[float | None]:
        return [*task.score([task.rows[one] for one in index], [one[0]["content"] for one in completions])]

    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=[reward],
            train_dataset=Dataset.from_list(
                [{"prompt": one["prompt"], "index": one["index"]} for one in taken]
            ),
            processing_class=tokenizer,
            peft_config=plain_trl.adapter(model, lora_r=numbers.lora_r, lora_layers=numbers.lora_layers),
            callbacks=[clock],
            args=plain_trl.settings(
                folder,
                prompts=numbers.prompts_per_step,
                num_generations=numbers.num_generations,
                max_completion_length=numbers.max_completion_length,
                max_steps=numbers.max_steps,
                learning_rate=numbers.learning_rate,
                adam_beta2=schedule.BETAS[1],
                temperature=numbers.temperature,
                shuffle_dataset=False,
                logging_steps=1,
                seed=task.seed,
            ),
        )
        trainer.remove_callback(PrinterCallback)
        # The learning rate goes as in ours: what is compared is what the steps cost and say.
        trainer.create_scheduler = MethodType(grpo.GroupTrainer.create_scheduler, trainer)
        with _dictated(trainer, repeat):
            trainer.train()
    return _steps(trainer, clock, [None] * numbers.max_steps)


def _steps(trainer: Any, clock: Clock, sampling: Sequence[float | None]) -> list[Step]:
    logs = [log for log in trainer.state.log_history if "reward" in log]
    return [
        Step(log["loss"], log["grad_norm"], log["reward"], wall, cpu, drawn)
        for log, (wall, cpu), drawn in zip(logs, clock.taken, sampling, strict=True)
    ]


@contextmanager
def _repeated(completions: Completions | None) -> Iterator[None]:
    """`generate` draws as ever, and then takes the tokens that were drawn before in their place."""
    if completions is None:
        yield
        return
    draw, earlier = generate.draw, completions.by_seed

    def again(logits: Tensor, rows: Any, position: int, slots: Any) -> Any:
        _, _, failed = draw(logits, rows, position, slots)
        tokens = torch.tensor([earlier[row.sampling.seed][position] for row in rows])
        temperature = rows[0].sampling.temperature
        logprobs = (logits / temperature).log_softmax(dim=-1)[torch.tensor(slots), tokens]
        return tokens, logprobs, failed

    with patch.object(generate, "draw", again):
        yield


@contextmanager
def _dictated(trainer: Any, completions: Completions) -> Iterator[None]:
    """transformers' `generate` is made to draw the tokens of each step in turn."""
    model, size, done = trainer.model, trainer.args.per_device_train_batch_size, 0
    original = model.generate

    class Dictation(LogitsProcessor):
        def __init__(self, tokens: list[list[int]], start: int) -> None:
            self._tokens, self._start = tokens, start

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            position = input_ids.shape[1] - self._start
            told = [one[position] if position < len(one) else one[-1] for one in self._tokens]
            chosen = torch.tensor(told, device=scores.device)[:, None]
            return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)

    def dictate(**inputs: Any) -> Any:
        nonlocal done
        step, done = slice(done, done + size), done + size
        dictation = Dictation(completions.tokens[step], inputs["input_ids"].shape[1])
        return original(**inputs, logits_processor=LogitsProcessorList([dictation]))

    with patch.object(model, "generate", dictate):
        yield
