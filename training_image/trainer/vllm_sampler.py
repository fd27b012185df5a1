"""vLLM writes the completions: beside the trainer on the same GPU, asleep while the policy trains.

Its engine is a process of its own that reads the policy from files in memory: an adapter by a new name after
each update, so that no cached prefix of an older policy is used, or all weights where vLLM cannot add the
adapter itself. Written against vLLM 0.31.0 (`tests/trainer/vllm_signatures.json`).
"""

import itertools
import math
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training_image.generate import Generated, OnEnd
from training_image.sampling import Sampling
from training_image.trainer import policy_files
from training_image.trainer.errors import TrainingError

_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM lays out memory for."""


@dataclass(frozen=True)
class EngineSettings:
    context: int
    """Tokens of the longest prompt and its completion."""
    memory_share: float
    """Of the GPU's memory, the engine's when it is awake."""
    seed: int


STRUCTURED_OUTPUTS = {"backend": "guidance", "enable_in_reasoning": True}
"""The library that our own loop keeps to forms with. A form's grammar is of the whole completion: vLLM is not
to wait until it believes that a thought is over, as it may for models that it knows."""
LOGPROBS_MODE = "processed_logprobs"
"""At each request's own temperature. vLLM masks what a form forbids before anything else (`sample_tokens` of
`v1/worker/gpu_model_runner.py`), so that no mode tells the model's own log-probabilities of a formed
completion."""


def lora_rank(model: Any) -> int:
    """The rank that vLLM makes room for. Raises: TrainingError if none is large enough."""
    rank = model.peft_config["default"].r
    fitting = [one for one in _LORA_RANKS if one >= rank]
    if not fitting:
        raise TrainingError(f"lora_r is {rank}; vLLM adds adapters up to {_LORA_RANKS[-1]}.")
    return fitting[0]


def sampling_parameters(sampling: Sampling, stop: Collection[int]) -> dict[str, Any]:
    """As vLLM's `SamplingParams` and its HTTP API spell them. The model's own stop tokens are all that end a
    completion, so `ignore_eos`."""
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop_token_ids": sorted(stop),
        "ignore_eos": True,
        "logit_bias": dict(sampling.logit_bias) or None,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "skip_special_tokens": False,
    }


def generated(
    token_ids: Sequence[int], logprobs: Sequence[float], finish_reason: str | None, *, is_formed: bool
) -> Generated:
    """vLLM's completion has the stop token in it, and log-probabilities of what its form has left."""
    if is_formed:
        logprobs = [math.nan] * len(logprobs)
    if finish_reason == "stop":
        return Generated([*token_ids[:-1]], [*logprobs[:-1]], "stop", (token_ids[-1], logprobs[-1]))
    return Generated([*token_ids], [*logprobs], "length")


class VLLMSampler:
    """An engine on the trainer's own GPU, which has its memory only while it samples."""

    def __init__(
        self,
        base: Path,
        stop_token_ids: Collection[int],
        settings: EngineSettings,
        *,
        folder: Path,
    ) -> None:
        """`base`: the base model's folder. `folder`: where the policy is handed over, in memory."""
        self._base = base
        self._stop = frozenset(stop_token_ids)
        self._settings = settings
        self._folder = folder
        self._engine: Any = None
        self._adapter: Any = None
        self._version: int | None = None
        self._updates = itertools.count(1)

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        self._wake(model)
        made: dict[int, Generated] = {}
        self._ask(prompts, samplings)
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                if output.finished:
                    place = int(output.request_id)
                    is_formed = samplings[place].constraint is not None
                    one = _read(output.outputs[0], is_formed=is_formed)
                    made[place] = one
                    if on_end:
                        on_end(place, one)
        # Weights wait in the machine's memory, the cache is thrown away. Not in the middle, when a run ends.
        self._engine.sleep(level=1)
        return [made[place] for place in range(len(prompts))]

    def _ask(self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]) -> None:
        from vllm import SamplingParams  # pyright: ignore
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # pyright: ignore

        for place, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
            form = sampling.constraint and StructuredOutputsParams(grammar=sampling.constraint.grammar)
            self._engine.add_request(
                str(place),
                {"prompt_token_ids": list(prompt)},
                SamplingParams(
                    **sampling_parameters(sampling, self._stop),
                    logprobs=0,
                    detokenize=False,
                    output_kind=RequestOutputKind.FINAL_ONLY,
                    structured_outputs=form,
                ),
                lora_request=self._adapter,
            )

    def _wake(self, model: Any) -> None:
        """The engine, with the policy as it is now."""
        torch.cuda.empty_cache()  # what the trainer holds for its next step
        version = policy_files.version(model)
        portable = policy_files.has_portable_adapter(model)
        if self._engine is None:
            self._engine = self._start(model, portable)
            self._version = None if portable else version
        else:
            self._engine.wake_up()
        if version == self._version:
            return
        folder = self._folder / f"policy-{next(self._updates)}"
        if portable:
            policy_files.write_adapter(model, folder)
            self._change_adapter(folder)
        else:
            policy_files.write_merged(model, self._base, folder)
            self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
            self._engine.reset_prefix_cache()
            shutil.rmtree(folder)
        self._version = version

    def _start(self, model: Any, portable: bool) -> Any:
        from vllm import EngineArgs, LLMEngine  # pyright: ignore
        from vllm.config import StructuredOutputsConfig  # pyright: ignore

        folder = self._base
        if not portable:
            folder = self._folder / "policy-0"
            policy_files.write_merged(model, self._base, folder)
        arguments = self.engine_arguments(model, folder)
        forms = StructuredOutputsConfig(**STRUCTURED_OUTPUTS)
        engine = LLMEngine.from_engine_args(EngineArgs(**arguments, structured_outputs_config=forms))
        if not portable:
            for file in folder.glob("*.safetensors"):
                file.unlink()
        return engine

    def engine_arguments(self, model: Any, folder: Path) -> dict[str, Any]:
        """Of vLLM's `EngineArgs`, what is not left to itself."""
        found: dict[str, Any] = {
            "model": str(folder),
            "dtype": "bfloat16",
            "max_model_len": self._settings.context,
            "gpu_memory_utilization": self._settings.memory_share,
            "enable_sleep_mode": True,
            "enable_prefix_caching": True,
            "logprobs_mode": LOGPROBS_MODE,
            "generation_config": "vllm",  # the folder's own top_p and temperature are not the job's
            "seed": self._settings.seed,
            "disable_log_stats": True,
        }
        if policy_files.has_portable_adapter(model):
            found |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": lora_rank(model)}
        return found

    def _change_adapter(self, folder: Path) -> None:
        from vllm.lora.request import LoRARequest  # pyright: ignore

        before, number = self._adapter, int(folder.name.removeprefix("policy-"))
        if before is not None:
            self._engine.remove_lora(before.lora_int_id)
            shutil.rmtree(before.lora_path)
        self._adapter = LoRARequest(lora_name=folder.name, lora_int_id=number, lora_path=str(folder))
        self._engine.add_lora(self._adapter)


def _read(output: Any, *, is_formed: bool) -> Generated:
    """Each place of `logprobs` tells of the token that was drawn, and of no other."""
    ids = list(output.token_ids)
    told: Sequence[Mapping[int, Any]] = output.logprobs
    logprobs = [place[token].logprob for place, token in zip(told, ids, strict=True)]
    return generated(ids, logprobs, output.finish_reason, is_formed=is_formed)
