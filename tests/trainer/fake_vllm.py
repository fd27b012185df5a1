"""vLLM as far as the trainer asks it, by our own loop on the files it is handed: the names and parameters of
vLLM 0.31.0 (`vllm_signatures.json`), and no others."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from training_image.constraints import Constraint

SIGNATURES: dict[str, Any] = json.loads((Path(__file__).parent / "vllm_signatures.json").read_bytes())


def checked(name: str, values: dict[str, Any]) -> dict[str, Any]:
    unknown = set(values) - set(SIGNATURES[name])
    assert not unknown, f"vLLM's {name} has no {unknown}"
    return values


def form(grammar: str, tokenizer: Any, size: int) -> "Constraint":
    """A grammar as vLLM reads it (`v1/structured_output/backend_guidance.py`), which asks for its validity
    before there is a tokenizer."""
    from llguidance import LLMatcher, grammar_from
    from llguidance.hf import from_tokenizer

    from training_image.constraints import Constraint

    read = grammar_from("grammar", grammar)
    assert not LLMatcher.validate_grammar(read, None)
    tokens = from_tokenizer(tokenizer, max(size, len(tokenizer)))
    return Constraint(LLMatcher(tokens, read, log_level=0), size, grammar)


def _record(name: str) -> type:
    class Record(SimpleNamespace):
        def __init__(self, **values: Any) -> None:
            super().__init__(**checked(name, values))

    return Record


class Engine:
    """A small `LLMEngine`; `ignores_adapters`: one that samples from the base model whatever it is told."""

    ignores_adapters = False

    def __init__(self, arguments: Any) -> None:
        self.arguments = arguments
        self.is_asleep = False
        self.adapters: dict[int, Any] = {}
        self.loaded: Any = None
        self._waiting: list[tuple[str, Any, Any]] = []
        self._load(arguments.model)

    @classmethod
    def from_engine_args(cls, engine_args: Any) -> "Engine":
        return cls(engine_args)

    def _load(self, folder: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def add_request(self, request_id: str, prompt: Any, params: Any, lora_request: Any = None) -> str:
        assert not self.is_asleep, "asked while asleep"
        assert set(prompt) == {"prompt_token_ids"}
        assert lora_request is None or lora_request.lora_int_id in self.adapters
        self._waiting.append((request_id, prompt["prompt_token_ids"], params))
        return f"{request_id}-internal"

    def has_unfinished_requests(self) -> bool:
        return bool(self._waiting)

    def step(self) -> list[Any]:
        """The last one asked for ends first."""
        from training_image.generate import generate
        from training_image.sampling import Sampling

        request_id, ids, params = self._waiting.pop()
        wanted = params.structured_outputs
        assert not wanted or self.arguments.structured_outputs_config.enable_in_reasoning
        constraint = wanted and form(wanted.grammar, self.tokenizer, self.model.config.vocab_size)
        sampling = Sampling(params.max_tokens, params.temperature, params.top_p, params.seed, constraint)
        [made] = generate(self._policy(), [ids], [sampling], stop_token_ids=params.stop_token_ids)
        stop = [made.stop] if made.stop else []
        drawn = [*zip(made.token_ids, made.logprobs, strict=True), *stop]
        completion = SimpleNamespace(
            token_ids=tuple(token for token, _ in drawn),
            logprobs=[{token: SimpleNamespace(logprob=logprob)} for token, logprob in drawn],
            finish_reason=made.finish_reason,
        )
        return [SimpleNamespace(request_id=request_id, finished=True, outputs=[completion])]

    def _policy(self) -> Any:
        if self.ignores_adapters or not self.adapters:
            return self.model
        return self.loaded

    def add_lora(self, lora_request: Any) -> bool:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        assert self.arguments.enable_lora and len(self.adapters) < self.arguments.max_loras
        self.adapters[lora_request.lora_int_id] = lora_request
        base: Any = AutoModelForCausalLM.from_pretrained(self.arguments.model)
        self.loaded = PeftModel.from_pretrained(base, lora_request.lora_path).eval()
        return True

    def remove_lora(self, lora_id: int) -> bool:
        return self.adapters.pop(lora_id) is not None

    def collective_rpc(self, method: str, *, kwargs: dict[str, Any]) -> list[None]:
        assert method == "reload_weights" and set(kwargs) == {"weights_path"}
        self._load(kwargs["weights_path"])
        return [None]

    def reset_prefix_cache(self) -> bool:
        return True

    def sleep(self, level: int) -> None:
        self.is_asleep = True

    def wake_up(self) -> None:
        self.is_asleep = False


def install(monkeypatch: pytest.MonkeyPatch, engine: type[Engine] = Engine) -> None:
    """As if vLLM were installed."""
    for method in ("add_request", "step", "sleep", "wake_up", "collective_rpc", "add_lora", "remove_lora"):
        own = getattr(engine, method).__code__
        names = own.co_varnames[1 : own.co_argcount + own.co_kwonlyargcount]
        assert set(names) <= set(SIGNATURES["LLMEngine"][method]), method
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.config", "vllm.lora.request", "vllm.lora")}
    modules["vllm.sampling_params"] = ModuleType("vllm.sampling_params")
    for module, names in (
        ("vllm", ("EngineArgs", "SamplingParams")),
        ("vllm.config", ("StructuredOutputsConfig",)),
        ("vllm.lora.request", ("LoRARequest",)),
        ("vllm.sampling_params", ("StructuredOutputsParams",)),
    ):
        for name in names:
            setattr(modules[module], name, _record(name))
    setattr(modules["vllm"], "LLMEngine", engine)  # noqa: B010
    setattr(modules["vllm.sampling_params"], "RequestOutputKind", SimpleNamespace(FINAL_ONLY=2))  # noqa: B010
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
