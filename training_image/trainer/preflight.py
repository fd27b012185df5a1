"""What is checked before a step costs anything: that prompts fit the model, and a checkpoint the job."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outcrop.training_spec import TrainingSpec
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.errors import TrainingError

SPEC = "spec.json"
"""In a checkpoint: what it was trained by."""
_TRAINED_BY = ("base_model", "grader", "hyperparameters", "seed", "response_format")
"""Of a spec, what a resumed run may not change."""
_NAMED = 3


def check_lengths(
    files: Mapping[str, Sequence[dict[str, Any]]], chat: ChatFormat, *, context: int, completion: int
) -> int:
    """Tokens of the longest prompt. `files`: the rows of each file by its name.

    Raises: TrainingError that names the rows whose prompts leave no room for the longest completion.
    """
    room, longest = context - completion, 0
    for file, rows in files.items():
        lengths = {index: len(chat.tokens(question(rows, index))) for index in range(len(rows))}
        longest = max(longest, *lengths.values(), 0)
        long = [index for index, length in lengths.items() if length > room]
        if not long:
            continue
        named = ", ".join(f"row {index + 1} ({lengths[index]} tokens)" for index in long[:_NAMED])
        others = f" and {len(long) - _NAMED} others" if len(long) > _NAMED else ""
        raise TrainingError(
            f"The {file} file has prompts that are too long: {named}{others}. The model reads {context} "
            f"tokens, of which max_completion_length takes {completion}: shorten them to {max(room, 0)}, or "
            "lower it."
        )
    return longest


def describe(spec: TrainingSpec, checkpoint: Path) -> None:
    """Note in a checkpoint what it was trained by."""
    (checkpoint / SPEC).write_text(json.dumps(_trained_by(spec)))


def check_checkpoint(checkpoint: Path, spec: TrainingSpec) -> None:
    """Raises: TrainingError that names what differs, if the run that left it was another one."""
    noted = checkpoint / SPEC
    if not noted.exists():  # left by a release that noted nothing
        return
    before, now = json.loads(noted.read_bytes()), _trained_by(spec)
    changed = [
        f"{name} was {json.dumps(before.get(name))} and is {json.dumps(value)}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if changed:
        raise TrainingError(
            f"The checkpoint of step {int(checkpoint.name[5:])} belongs to another run: "
            f"{'; '.join(changed)}. Create a new job; this one's checkpoints can still be used as models."
        )


def _trained_by(spec: TrainingSpec) -> dict[str, Any]:
    """Flat: each hyperparameter by its own name."""
    chosen = spec.model_dump(mode="json", include=set(_TRAINED_BY))
    return {**chosen.pop("hyperparameters"), **chosen}
