"""Why a run cannot go on, in words for the person whose job it is, and the file SageMaker reads them from."""

from pathlib import Path

import torch

from outcrop.errors import APIError

_LONGEST = 1000  # SageMaker cuts a failure reason at 1024 characters


class TrainingError(Exception):
    """The message is shown as the job's error."""


def explain(error: BaseException) -> str:
    """One paragraph that says what happened and, where it is known, what to do."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return (
            "The machine ran out of memory. Lower batch_size, num_generations (or compute_multiplier) or "
            "max_completion_length, or use an instance with more memory."
        )
    if isinstance(error, TrainingError | APIError):
        return str(error)[:_LONGEST]
    lines = str(error).strip().splitlines()
    return f"The trainer failed: {type(error).__name__}{': ' + lines[0] if lines else ''}"[:_LONGEST]


def write_failure(error: BaseException, ml_path: Path) -> None:
    """SageMaker's contract: what is in `output/failure` becomes the training job's FailureReason."""
    folder = ml_path / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure").write_text(explain(error))
