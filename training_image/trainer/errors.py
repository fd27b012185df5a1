"""Why a run cannot go on, in words for the person whose job it is, and the file SageMaker reads them from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from outcrop.errors import APIError
from outcrop.training_spec import GRADER_FAILING

_LONGEST = 990  # SageMaker cuts a failure reason, its own words included, at 1024 characters


class TrainingError(Exception):
    """The message is shown as the job's error."""


class GraderFailing(TrainingError):
    """The grader gives too few rewards to learn from."""


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU, of Python, or of torch on a CPU, which has no error of its own for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def explain(error: BaseException) -> str:
    """One paragraph that says what happened and, where it is known, what to do."""
    if is_out_of_memory(error):
        return (
            "The machine ran out of memory. Lower batch_size, num_generations (or compute_multiplier) or "
            "max_completion_length, or use an instance with more memory."
        )
    if isinstance(error, FloatingPointError):
        return (
            f"The model does not compute any more ({error}): the last steps were too large. Lower "
            "learning_rate_multiplier, or set beta. Checkpoints saved until then can be used as models."
        )
    if isinstance(error, TrainingError | APIError):
        code = f"{GRADER_FAILING}: " if isinstance(error, GraderFailing) else ""
        return _shortened(f"{code}{error}")
    lines = str(error).strip().splitlines()
    return _shortened(f"The trainer failed: {type(error).__name__}{': ' + lines[0] if lines else ''}")


def _shortened(text: str) -> str:
    """A traceback says most in its first lines and its last."""
    if len(text) <= _LONGEST:
        return text
    gap = "\n[...]\n"
    half = (_LONGEST - len(gap)) // 2
    return text[:half] + gap + text[-half:]


@contextmanager
def failed_writes_as_os_errors() -> Iterator[None]:
    """A full disk is an OSError; safetensors and torch, whose native code writes, make other errors of it."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise OSError(f"is the disk full? {type(error).__name__}: {first_line}") from error


def write_failure(error: BaseException, ml_path: Path) -> None:
    """SageMaker's contract: what is in `output/failure` becomes the training job's FailureReason."""
    folder = ml_path / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure").write_text(explain(error))
