"""A process on one of a machine's further GPUs: does what the leader tells it, with the leader's weights."""

import os
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from outcrop.settings import settings
from outcrop.training_spec import TrainingSpec

Asked = tuple[list[list[int]], list[Any], list[str | None]]
"""Prompts, how each is sampled, and the grammar of the job's form that it keeps to."""


def follow(leader: Connection, rank: int, size: int, rendezvous: Path, spec: str, root: Path) -> None:
    """Until the leader is gone."""
    os.environ["CUDA_VISIBLE_DEVICES"] = str(rank)
    try:
        _Follower(leader, rank, size, rendezvous, TrainingSpec.model_validate_json(spec), root).run()
    except EOFError:
        return
    except Exception as error:  # the leader tells the job's owner
        leader.send(("failed", error))
        raise


class _Follower:
    def __init__(
        self, leader: Connection, rank: int, size: int, rendezvous: Path, spec: TrainingSpec, root: Path
    ) -> None:
        from training_image.generate import stop_tokens
        from training_image.trainer import dataset, grpo, policy
        from training_image.trainer.chat_format import ChatFormat
        from training_image.trainer.exchange import Exchange
        from training_image.trainer.forms import forms
        from training_image.trainer.sampler_choice import choose
        from training_image.trainer.witness import witnessed

        self._leader = leader
        numbers, base = spec.hyperparameters, root / "input/data/model"
        model, tokenizer = policy.load(base, numbers.attention, learns=numbers.learns_all_weights)
        chat = ChatFormat(tokenizer, numbers.reasoning_effort)
        self._forms = forms(spec.response_format, chat, model, tokenizer)
        channels = [root / "input/data" / name for name in ("training", "validation")]
        files = [dataset.rows(channel) for channel in channels if channel.is_dir()]
        longest = max(
            len(chat.tokens(dataset.question(rows, row))) for rows in files for row in range(len(rows))
        )
        sampler = choose(
            settings().sampler,
            base,
            stop_tokens(model, tokenizer),
            context=longest + numbers.max_completion_length,
            seed=spec.seed,
            learning=policy.learning(model, numbers),
        )
        self._sampler = witnessed(sampler, self._forms, bound=grpo.sampler_gap(model))
        self._trainer = grpo.FollowingTrainer(
            model=model,
            args=grpo.config(numbers, seed=spec.seed, folder=root / f"output/gpu-{rank}"),
            train_dataset=dataset.placeholders(numbers.prompts_per_step),
            processing_class=tokenizer,
            peft_config=None if numbers.learns_all_weights else policy.adapter(model, numbers),
        )
        leader.send(("ready", None))
        self._exchange = Exchange(rank, size, rendezvous)

    def run(self) -> None:
        while True:
            said, content = self._leader.recv()
            match said:
                case "weights":
                    self._exchange.spread_weights(self._trainer.model)
                case "sample":
                    self._sample(*content)
                case "train":
                    self._train(content)

    def _sample(self, prompts: list[list[int]], samplings: list[Any], grammars: list[str | None]) -> None:
        if prompts:
            own = [
                replace(one, constraint=self._forms.named(grammar))
                for one, grammar in zip(samplings, grammars, strict=True)
            ]
            self._sampler.sample(self._trainer.model, prompts, own, on_end=self._tell_end)

    def _tell_end(self, place: int, one: Any) -> None:
        """What its training could start from stays here: another process has the group."""
        self._leader.send(("ended", (place, replace(one, trunk=None))))

    def _train(self, batches: Sequence[dict[str, Any]] | None) -> None:
        measured = self._trainer.compute(batches)
        self._leader.send(("trained", measured))
        self._exchange.add_gradients(self._trainer.model)
        self._trainer.model.zero_grad()
