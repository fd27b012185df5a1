"""vLLM writes the completions on GPUs of its own: `vllm serve` beside the trainer, which is told of each new
adapter. For a policy that leaves no room for a second copy of the weights on its own GPU.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from shutil import rmtree
from typing import Any

import httpx

from training_image.generate import Generated, OnEnd
from training_image.sampling import Sampling
from training_image.trainer import policy_files
from training_image.trainer.errors import TrainingError
from training_image.trainer.vllm_sampler import (
    LOGPROBS_MODE,
    STRUCTURED_OUTPUTS,
    EngineSettings,
    generated,
    lora_rank,
    sampling_parameters,
)

PORT = 8199
_AT_ONCE = 256
_START_SECONDS = 1800
_BASE = "base"


def command(model: Any, base: Path, settings: EngineSettings, gpus: int) -> list[str]:
    """Raises: TrainingError if vLLM cannot add such an adapter to a running server."""
    if not policy_files.has_portable_adapter(model):
        raise TrainingError(
            "GPUs that only sample can take an adapter of linear layers, and not what this job trains (all "
            "weights, or expert parameters): set sampler_gpus to 0."
        )
    return [
        *(sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(base)),
        *("--served-model-name", _BASE),
        *("--host", "127.0.0.1", "--port", str(PORT)),
        *("--dtype", "bfloat16"),
        *("--tensor-parallel-size", str(gpus)),
        *("--max-model-len", str(settings.context)),
        *("--gpu-memory-utilization", str(settings.memory_share)),
        *("--logprobs-mode", LOGPROBS_MODE),
        *("--generation-config", "vllm"),
        *("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
        *("--seed", str(settings.seed)),
        *("--enable-lora", "--max-loras", "1", "--max-lora-rank", str(lora_rank(model))),
        *("--disable-log-stats", "--enable-prefix-caching"),
    ]


def start(arguments: Sequence[str], gpus: Sequence[int]) -> "subprocess.Popen[bytes]":
    """The server's process, on these of the machine's GPUs."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus)),
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    }
    return subprocess.Popen(arguments, env=environment)  # noqa: S603 - `command`'s


def wait(client: httpx.Client, is_running: Callable[[], bool]) -> None:
    """Until it answers. Raises: TrainingError if it ends, or takes longer than half an hour."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and is_running():
        try:
            if client.get("/health").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    state = "took more than half an hour to start" if is_running() else "ended while it started"
    raise TrainingError(f"The vLLM server that samples {state}; the training job's log has its words.")


class ServedSampler:
    def __init__(
        self,
        client: httpx.Client,
        stop_token_ids: Collection[int],
        *,
        folder: Path,
        start: Callable[[Any], object],
    ) -> None:
        """`folder`: where adapters are handed over; the server sees it too. `start` is called with the policy
        before the server is first asked."""
        self._client = client
        self._start = start
        self._stop = frozenset(stop_token_ids)
        self._folder = folder
        self._version: int | None = None
        self._adapter: Path | None = None
        self._updates = 0

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        if self._version is None:
            self._start(model)
        if (version := policy_files.version(model)) != self._version:
            self._change_adapter(model)
            self._version = version
        made: dict[int, Generated] = {}
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            asked = {
                pool.submit(self._complete, prompt, sampling): place
                for place, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True))
            }
            for done in as_completed(asked):
                place = asked[done]
                made[place] = done.result()
                if on_end:
                    on_end(place, made[place])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # one that fails, or SIGTERM, waits for no other
        return [made[place] for place in range(len(prompts))]

    def _complete(self, prompt: Sequence[int], sampling: Sampling) -> Generated:
        body = sampling_parameters(sampling, self._stop) | {
            "model": self._adapter.name if self._adapter else _BASE,
            "prompt": list(prompt),
            "logprobs": 1,
            "return_token_ids": True,
        }
        if body["logit_bias"]:
            body["logit_bias"] = {str(token): bias for token, bias in body["logit_bias"].items()}
        if sampling.constraint:
            body["structured_outputs"] = {"grammar": sampling.constraint.grammar}
        choice = self._post("/v1/completions", body).json()["choices"][0]
        return generated(
            choice["token_ids"],
            choice["logprobs"]["token_logprobs"],
            choice["finish_reason"],
            is_formed=sampling.constraint is not None,
        )

    def _change_adapter(self, model: Any) -> None:
        self._updates += 1
        folder = self._folder / f"policy-{self._updates}"
        policy_files.write_adapter(model, folder)
        if self._adapter is not None:
            self._post("/v1/unload_lora_adapter", {"lora_name": self._adapter.name})
            rmtree(self._adapter)
        self._post("/v1/load_lora_adapter", {"lora_name": folder.name, "lora_path": str(folder)})
        self._adapter = folder

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Raises: TrainingError with the server's own words."""
        answer = self._client.post(path, json=body)
        if not answer.is_success:
            raise TrainingError(f"vLLM answers {answer.status_code} at {path}: {answer.text[:300]}")
        return answer
