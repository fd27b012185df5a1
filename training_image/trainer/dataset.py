"""What a run reads: its rows, and what each asks the policy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from outcrop import dataset
from training_image.trainer.errors import TrainingError


def rows(channel: Path) -> list[dict[str, Any]]:
    """The rows of the one file in a channel. Raises: TrainingError that names it and the wrong lines.

    A channel is every object whose key begins as the file's: in a user's own bucket there may be a
    `train.jsonl.gz` beside `train.jsonl`.
    """
    files = sorted((file for file in channel.iterdir() if file.is_file()), key=lambda file: len(file.name))
    if not files or not all(file.name.startswith(files[0].name) for file in files):
        raise TrainingError(f"The channel '{channel.name}' should hold one file; it holds {len(files)}.")
    with files[0].open("rb") as lines:
        try:
            return dataset.read(lines)
        except dataset.DatasetError as error:
            raise TrainingError(f"The {channel.name} file cannot be used: {error.message}") from error


def question(rows: Sequence[dict[str, Any]], index: int) -> dict[str, Any]:
    """What row `index` asks the policy: `prompt`, its conversation with text parts joined into one string,
    and the `tools` that may be called."""
    row = rows[index]
    prompt = [{**message, "content": _text(message.get("content"))} for message in row["messages"]]
    return {"prompt": prompt, "tools": row.get("tools") or [], "index": index}


def placeholders(prompts: int) -> Dataset:
    """As many prompts as TRL asks for in a run. Which rows they are the `PromptQueue` says, when their
    step has come.
    """
    return Dataset.from_dict({"prompt": [""] * prompts})


def _text(content: str | list[dict[str, Any]] | None) -> str | None:
    return "".join(part["text"] for part in content) if isinstance(content, list) else content
