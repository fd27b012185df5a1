"""What each part of the engine saves: the same steps, on the same completions, by plain TRL's trainer, by
Outcrop's, and by Outcrop's with one part at a time replaced by the plain way.

Prints a table: processor seconds a step (of all threads; on a shared machine they say more than the clock),
wall seconds, how often plain's time ours goes into them, and how far gradients are from Outcrop's. Run:
python -m benchmarks.engine --steps 4
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from statistics import mean
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer

from benchmarks import same_steps
from benchmarks.same_steps import Step, Task
from local.cache import weights
from outcrop.base_models import offered
from outcrop.cli.demo import TASKS
from outcrop.cli.demo_exam import grader_handler, score
from outcrop.cli.local import DEFAULT_MODEL
from outcrop.hyperparameters import resolve
from outcrop.types.method import ReinforcementHyperparameters
from training_image import generate, kv_cache
from training_image.trainer import grpo, packing, sampler

Off = Callable[[], AbstractContextManager[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="json_extraction")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--part", action="append", choices=PARTS, help="only these; repeatable")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    task = _task(asked.task, asked.steps)

    same_steps.outcrop(_task(asked.task, 1))  # what is done once in a process is done
    ours, completions = same_steps.outcrop(task)
    drawn = [len(one) for one in completions.tokens]
    print(
        f"{asked.steps} steps of {len(drawn) // asked.steps} completions, {mean(drawn):.0f} tokens on average"
    )
    _tell("Outcrop, its own draws", ours, None, ours)
    plain = same_steps.plain(task, completions)
    _tell("plain TRL", plain, plain, ours)
    _tell("Outcrop", same_steps.outcrop(task, completions)[0], plain, ours)
    for part in asked.part or PARTS:
        with PARTS[part]():
            _tell(f"without: {part}", same_steps.outcrop(task, completions)[0], plain, ours)


def _task(name: str, steps: int) -> Task:
    folder = TASKS / name
    handler = grader_handler(folder / "grader.py")
    rows = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    recipe = ReinforcementHyperparameters(**json.loads((folder / "job.json").read_text()))
    numbers = resolve(recipe, offered(DEFAULT_MODEL, [DEFAULT_MODEL]), len(rows))
    return Task(
        weights(DEFAULT_MODEL),
        rows,
        lambda items, texts: score(handler, [*items], [*texts]),
        numbers.model_copy(update={"max_steps": steps}),
    )


def _tell(who: str, steps: Sequence[Step], plain: Sequence[Step] | None, ours: Sequence[Step]) -> None:
    cpu, wall = (mean(getattr(one, what) for one in steps) for what in ("cpu_seconds", "seconds"))
    ratio = (
        f"; plain TRL takes {mean(one.cpu_seconds for one in plain) / cpu:.2f} times as much" if plain else ""
    )
    apart = max(abs(one.grad_norm - other.grad_norm) for one, other in zip(steps, ours, strict=True))
    sampling = [one.sampling for one in steps if one.sampling is not None]
    of_which = f" (sampling {mean(sampling):.2f})" if sampling else ""
    print(
        f"{who:45} {cpu:7.2f} CPU s, {wall:7.2f} s{of_which}{ratio}; gradient norms differ by {apart:.1e}",
        flush=True,
    )


@contextmanager
def _patched(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for place, name, value in patches:
            stack.enter_context(patch.object(place, name, value))
        yield


def _apart() -> AbstractContextManager[None]:
    """Every completion has a slot of its own from its first token on."""
    read, arranged = generate._read, generate.arranged

    def each(model: Any, prompts: Any, rows: Any) -> Any:
        cache, padding, logits, slots = read(model, prompts, rows)
        every = torch.tensor(slots)
        return (
            kv_cache.KeyValueCache.stacked([cache], every, room=len(rows)),
            padding[every],
            logits[every],
            [*range(len(rows))],
        )

    def alone(heads: Sequence[tuple[int, int]]) -> Any:
        placed, slots = arranged(
            [(slot, token * len(heads) + row) for row, (slot, token) in enumerate(heads)]
        )
        return [(slot, token // len(heads)) for slot, token in placed], slots

    return _patched((generate, "_read", each), (generate, "arranged", alone))


def _prompts_again() -> AbstractContextManager[None]:
    """Every prompt is read once for each of its completions."""
    read = generate._read

    def often(model: Any, prompts: Any, rows: Any) -> Any:
        found = read(model, prompts, rows)
        seen: set[tuple[int, ...]] = set()
        again = [one for one in prompts if tuple(one) in seen or seen.add(tuple(one))]
        for start in range(0, len(again), generate._ROWS_PER_PREFILL):
            part = again[start : start + generate._ROWS_PER_PREFILL]
            width = max(map(len, part))
            padding = torch.tensor([width - len(one) for one in part])
            ids = torch.tensor([[0] * (width - len(one)) + list(one) for one in part])
            generate._forward(model, ids, padding, kv_cache.KeyValueCache())
        return found

    return _patched((generate, "_read", often))


def _copied_cache() -> AbstractContextManager[None]:
    """Every layer's keys and values are copied at every token, as `DynamicCache` does."""

    def update(self: Any, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> Any:
        if self.keys is None:
            self.lazy_initialization(keys, values)
        else:
            rows = slice(self.rows)
            self.keys = torch.cat([self.keys[rows, :, : self.length], keys], dim=2)
            self.values = torch.cat([self.values[rows, :, : self.length], values], dim=2)
        self.length += keys.shape[2]
        return self.keys, self.values

    def arrange(self: Any, targets: Tensor, origins: Tensor, rows: int) -> None:
        places = torch.arange(rows)
        places[targets] = origins
        self.keys, self.values, self.rows = self.keys[places], self.values[places], rows

    return _patched((kv_cache._Layer, "update", update), (kv_cache._Layer, "arrange", arrange))


def _plain_head() -> AbstractContextManager[None]:
    """Logits of all positions at once, and their gradient by autograd."""

    class Head:
        @staticmethod
        def apply(hidden: Tensor, weight: Tensor, rows: Tensor, tokens: Tensor, temperature: float) -> Any:
            logprobs = ((hidden @ weight.T).float() / temperature).log_softmax(dim=-1)
            with torch.no_grad():
                entropies = -(logprobs.exp() * logprobs).sum(dim=-1)
            return logprobs[rows, tokens], entropies

    return _patched((packing, "_Head", Head))


def _all_groups() -> AbstractContextManager[None]:
    """Groups whose rewards are equal are computed too."""

    def loss(self: Any, model: Any, inputs: Any) -> Tensor:
        return GRPOTrainer._compute_loss(self, model, inputs)

    return _patched((grpo.GroupTrainer, "_compute_loss", loss))


PARTS: dict[str, Off] = {
    "rows that say the same are one": _apart,
    "prompts read once": _prompts_again,
    "cache in place": _copied_cache,
    "grouped attention": lambda: _patched((generate, "_attend_in_groups", lambda _: None)),
    "adapter merged": lambda: _patched((sampler, "merged", lambda _: nullcontext())),
    "trunk kept from sampling": lambda: _patched((sampler, "trunk_layers", lambda _: 0)),
    "a group is a tree": lambda: _patched((grpo, "is_packable", lambda _: False)),
    "lean head": _plain_head,
    "groups without variance skipped": _all_groups,
}


if __name__ == "__main__":
    main()
