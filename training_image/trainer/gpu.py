"""What a step takes of its GPU: the first one's, which the others are like."""

import torch


def reset_peak() -> None:
    """A step begins."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def measured() -> dict[str, float]:
    """`gpu_memory_gb`: the most that the trainer's process has held since `reset_peak`, without vLLM's.
    `gpu_utilization`: the share of the last seconds in which the GPU computed. Nothing on a CPU.
    """
    if not torch.cuda.is_available():
        return {}
    found = {"gpu_memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)}
    try:
        return found | {"gpu_utilization": torch.cuda.utilization() / 100}
    except (ModuleNotFoundError, RuntimeError):  # no pynvml, or a driver that does not tell
        return found
