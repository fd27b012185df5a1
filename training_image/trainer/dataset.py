"""What a run reads: its rows, and which of them each step trains on."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from outcrop import dataset
from training_image.trainer.errors import TrainingError


def rows(channel: Path) -> list[dict[str, Any]]:
    """The rows of the one file in a channel. Raises: DatasetError, TrainingError.

    A channel is every object whose key begins as the file's: in a user's own bucket there may be a
    `train.jsonl.gz` beside `train.jsonl`.
    """
    files = sorted((file for file in channel.iterdir() if file.is_file()), key=lambda file: len(file.name))
    if not files or not all(file.name.startswith(files[0].name) for file in files):
        raise TrainingError(f"The channel '{channel.name}' should hold one file; it holds {len(files)}.")
    with files[0].open("rb") as lines:
        return dataset.read(lines)


def question(rows: Sequence[dict[str, Any]], index: int) -> dict[str, Any]:
    """What row `index` asks the policy: `prompt`, its conversation with text parts joined into one string,
    and the `tools` that may be called."""
    row = rows[index]
    prompt = [{**message, "content": _text(message.get("content"))} for message in row["messages"]]
    return {"prompt": prompt, "tools": row.get("tools") or [], "index": index}


def schedule(rows: list[dict[str, Any]], *, steps: int, batch_size: int, seed: int) -> Dataset:
    """Every prompt of the run in order: the file shuffled anew for each epoch, the epochs one after another.

    A step takes the next `batch_size`, so no row is dropped at the end of an epoch, and step n's prompts
    depend on the seed and n alone: a resumed run continues where it was.
    """

    def questions(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        asked = [question(rows, index) for index in batch["index"]]
        return {name: [one[name] for one in asked] for name in ("prompt", "tools", "index")}

    order = _shuffled(len(rows), steps * batch_size, random.Random(seed))  # noqa: S311
    return Dataset.from_dict({"index": order}).with_transform(questions)


def _shuffled(rows: int, length: int, rng: random.Random) -> list[int]:
    def epochs() -> Iterator[int]:
        while True:
            yield from rng.sample(range(rows), rows)

    order = epochs()
    return [next(order) for _ in range(length)]


def _text(content: str | list[dict[str, Any]] | None) -> str | None:
    return "".join(part["text"] for part in content) if isinstance(content, list) else content
