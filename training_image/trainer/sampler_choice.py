"""Which sampler a job has: vLLM where it is installed and there is a GPU, else our own loop."""

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import torch

from training_image.trainer import vllm_server
from training_image.trainer.errors import TrainingError
from training_image.trainer.sampler import LoopSampler, Sampler
from training_image.trainer.vllm_sampler import EngineSettings, VLLMSampler

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - files that another process reads at once
_ADAPTERS_BYTES = 4 * 2**30
_KEPT_GB = 6
"""Of the GPU's memory, for an adapter's optimizer and what CUDA itself takes."""
_AVERAGES_BYTES = 8
"""Of a weight that learns, AdamW's, while the policy is sampled: its gradient is gone by then."""
_ROUNDED_BYTES = 2
"""Of a weight as vLLM has it."""
_SERVER_SHARE = 0.9


def choose(
    wanted: str,
    base: Path,
    stop_token_ids: Collection[int],
    *,
    context: int,
    seed: int,
    gpus: Sequence[int] = (),
    learning: int = 0,
    tell: Callable[[str], object] = print,
) -> Sampler:
    """`wanted`: the setting `sampler`. `context`: tokens of the longest prompt and its completion. `gpus`:
    those of the machine that only sample. `learning`: how many weights learn, if all of them do. `tell`:
    `LoopSampler`'s.

    Raises: TrainingError if vLLM is wanted and cannot be had.
    """
    available = torch.cuda.is_available() and find_spec("vllm") is not None
    if wanted == "loop" or (wanted == "auto" and not available):
        return LoopSampler(stop_token_ids, tell=tell)
    if not available:
        raise TrainingError(
            "The setting sampler is vllm, and here is no GPU or no package vllm: the training image has both "
            "on an instance with a GPU. Set sampler to auto."
        )
    settings = EngineSettings(
        context=context,
        memory_share=_SERVER_SHARE if gpus else _free_share(learning),
        seed=seed,
    )
    folder = Path(tempfile.mkdtemp(prefix="policy-", dir=_fastest(_ROUNDED_BYTES * learning)))
    if gpus:
        return _served(base, stop_token_ids, settings, gpus, folder)
    return VLLMSampler(base, stop_token_ids, settings, folder=folder)


def _fastest(weights_bytes: int) -> Path | None:
    """Memory, or the disk where a container has next to none of that to share."""
    is_roomy = _IN_MEMORY.is_dir()
    is_roomy = is_roomy and shutil.disk_usage(_IN_MEMORY).free > _ADAPTERS_BYTES + weights_bytes
    return _IN_MEMORY if is_roomy else None


def _free_share(learning: int) -> float:
    """Of the GPU's memory, with the policy in it. Raises: TrainingError if what learns leaves nothing."""
    free, total = torch.cuda.mem_get_info()
    left = free - _KEPT_GB * 1e9 - _AVERAGES_BYTES * learning
    if left < _ROUNDED_BYTES * learning:
        raise TrainingError(
            f"The GPU has no room for vLLM beside {learning / 1e9:.1f} billion weights that learn, their "
            "optimizer, and its own copy of them. Set sampler to loop, or ask for a larger GPU in "
            "instance_types (cdk.json)."
        )
    return round(left / total, 3)


def _served(
    base: Path, stop_token_ids: Collection[int], settings: EngineSettings, gpus: Sequence[int], folder: Path
) -> Sampler:
    client = httpx.Client(base_url=f"http://127.0.0.1:{vllm_server.PORT}", timeout=None)  # noqa: S113

    def start(model: Any) -> None:
        process = vllm_server.start(vllm_server.command(model, base, settings, len(gpus)), gpus)
        atexit.register(_end, process)
        vllm_server.wait(client, lambda: process.poll() is None)

    return vllm_server.ServedSampler(client, stop_token_ids, folder=folder, start=start)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()
