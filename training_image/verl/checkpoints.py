"""verl's checkpoints in the folder that SageMaker keeps in S3: which of them is whole.

Every host writes its own processes' shards, and SageMaker copies files one by one: after an interruption the
newest step may lack some.
"""

from collections.abc import Callable
from pathlib import Path

HISTORY = "history.json"
_PREFIX = "global_step_"


def folder(state: Path, step: int) -> Path:
    return state / f"{_PREFIX}{step}"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_PREFIX))


def newest(state: Path, world: int, passed_over: Callable[[Path, str], None]) -> Path | None:
    """The newest whole one of a run on `world` GPUs; `passed_over` is told of those that are not."""
    found = [one for one in state.glob(f"{_PREFIX}*") if one.name.removeprefix(_PREFIX).isdigit()]
    for checkpoint in sorted(found, key=step_of, reverse=True):
        missing = _missing(checkpoint, world)
        if not missing:
            return checkpoint
        others = f" and {len(missing) - 1} other files" if len(missing) > 1 else ""
        passed_over(checkpoint, f"it has no {missing[0]}{others}")
    return None


def _missing(checkpoint: Path, world: int) -> list[str]:
    shards = [
        f"actor/{part}_world_size_{world}_rank_{rank}.pt"
        for part in ("model", "optim", "extra_state")
        for rank in range(world)
    ]
    return [name for name in (HISTORY, "data.pt", *shards) if not (checkpoint / name).is_file()]
