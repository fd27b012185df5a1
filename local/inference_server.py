"""An OpenAI-compatible server for base models and what was trained from them, for `outcrop local`.

`python -m local.inference_server --port 8000 --models-dir DIR`: each Hugging Face folder in DIR is a base
model, named as its folder. Adapters come by vLLM's API, `POST /v1/load_lora_adapter`, from `s3://`, tuned
models with weights of their own by `POST /v1/load_model`. It is made for two CPU cores; on a machine with a
GPU, point `serving_url` to a vLLM instead (`outcrop/serving/openai_compatible.py` says how).

This is the one module outside the trainer that may import torch. That takes seconds, so it happens in the
background: the port answers at once, and questions wait for the model.
"""

import argparse
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import uvicorn

from local.adapters import Adapters
from local.inference_api import inference_api
from local.inference_batches import Batches, OnStep, Row
from local.processes import inherited
from outcrop import base_models
from outcrop.errors import UnavailableError
from outcrop.types.chat import Tool
from outcrop.types.chat_message import ChatMessage
from training_image import harmony
from training_image.chat_prompt import ChatPrompt, chat_prompt

if TYPE_CHECKING:
    from training_image.constraints import Constraint


class LoadedModel:
    """A base model in memory, with the adapters that were asked for on top of it, and beside it the models
    with weights of their own that were trained from it."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from training_image.constraints import Vocabulary
        from training_image.generate import stop_tokens

        device = "cuda" if torch.cuda.is_available() else "cpu"
        cpu = torch.cpu.get_capabilities()
        fast_bfloat16 = device == "cuda" or cpu.get("amx_bf16") or cpu.get("avx512_bf16")
        dtype = torch.bfloat16 if fast_bfloat16 else torch.float32
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        # Marks between channels are special tokens, and what is said is known by them.
        self._has_channels = harmony.CHANNEL in (self._tokenizer.chat_template or "")

        def load(weights: Path) -> Any:
            model: Any = AutoModelForCausalLM.from_pretrained(weights, dtype=dtype)
            return model.to(device).eval()

        self._load = load
        self._model = load(folder)  # becomes a PeftModel with the first adapter
        self._loaded: list[Path] = []
        self._whole: dict[Path, Any] = {}
        self.context_length: int = self._model.config.max_position_embeddings
        if known := base_models.find(folder.name):
            self.context_length = min(self.context_length, known.context_length)
        self.vocabulary_size: int = self._model.config.vocab_size
        self.stop_token_ids = stop_tokens(self._model, self._tokenizer)
        self._vocabulary = Vocabulary(self._tokenizer, self.stop_token_ids, self.vocabulary_size)

    def chat_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool], reasoning_effort: str | None
    ) -> ChatPrompt:
        return chat_prompt(self._tokenizer, messages, tools, reasoning_effort)

    def encode(self, text: str, *, whole: bool) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=whole).input_ids
        first = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        return tokens or [next(token for token in first if token is not None)]

    def decode(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(
            tokens, skip_special_tokens=not self._has_channels, clean_up_tokenization_spaces=False
        )

    def token_bytes(self, token: int) -> bytes:
        return self._vocabulary.bytes_of(token)

    def constraint(self, grammar: str) -> "Constraint":
        return self._vocabulary.constraint(grammar)

    def generate(self, rows: Sequence[Row], on_step: OnStep) -> None:
        from training_image.generate import generate, score

        with self._with(rows[0].adapter) as model:
            for row in rows:
                if row.scores_prompt:
                    row.read(score(model, row.prompt, row.sampling.top_logprobs or 0))
            generate(
                model,
                [row.prompt for row in rows],
                [row.sampling for row in rows],
                stop_token_ids=self.stop_token_ids,
                on_step=on_step,
            )

    @contextmanager
    def _with(self, tuned: Path | None) -> Iterator[Any]:
        """The model with this adapter, or with none; or the one that has these weights."""
        if tuned and not tuned.exists():
            raise UnavailableError("The model was unloaded while the request waited. Ask again.")
        if tuned and not (tuned / "adapter_config.json").exists():
            yield self._with_weights(tuned)
            return
        if tuned:
            self._activate(tuned)
        with self._model.disable_adapter() if self._loaded and not tuned else nullcontext():
            yield self._model

    def _with_weights(self, tuned: Path) -> Any:
        self._whole = {folder: model for folder, model in self._whole.items() if folder.exists()}
        if tuned not in self._whole:
            self._whole[tuned] = self._load(tuned)
        return self._whole[tuned]

    def _activate(self, adapter: Path) -> None:
        from peft import PeftModel

        if not self._loaded:
            self._model = PeftModel.from_pretrained(self._model, adapter, adapter_name=adapter.name).eval()
        elif adapter not in self._loaded:
            self._model.load_adapter(adapter, adapter_name=adapter.name)
        self._model.set_adapter(adapter.name)
        self._loaded = [*(one for one in self._loaded if one != adapter), adapter]
        for forgotten in [one for one in self._loaded if not one.exists()]:
            self._model.delete_adapter(forgotten.name)
            self._loaded.remove(forgotten)


class Models:
    """The base models in a folder, each loaded when it is first asked for and kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bases: dict[str, LoadedModel] = {}
        self._loading = threading.Lock()

    def names(self) -> list[str]:
        return sorted(config.parent.name for config in self._folder.glob("*/config.json"))

    def warm_up(self) -> None:
        """The slow imports, before the first question needs them.

        Two threads that import transformers and peft at once may each find the other's modules half made, so
        a model is not loaded meanwhile.
        """
        with self._loading:
            import peft  # noqa: F401

            import training_image.constraints
            import training_image.generate  # noqa: F401

    def base(self, name: str) -> LoadedModel:
        """Blocks while the model is loaded. `name` is one of `names()`."""
        with self._loading:
            if name not in self._bases:
                self._bases[name] = LoadedModel(self._folder / name)
            return self._bases[name]

    def generate(self, rows: Sequence[Row], on_step: OnStep) -> None:
        self.base(rows[0].base).generate(rows, on_step)


def serve(models_dir: Path, port: int, adapters_dir: Path) -> uvicorn.Server:
    """The server, ready to run: models, queue and API put together."""
    models = Models(models_dir)
    batches = Batches(models.generate)
    threading.Thread(target=models.warm_up, name="imports", daemon=True).start()
    threading.Thread(target=batches.work, name="model", daemon=True).start()
    api = inference_api(models, Adapters(adapters_dir), batches)
    config = uvicorn.Config(
        api, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.inference_server")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, default=0)
    where.add_argument("--fd", type=int, help="a listening socket that this process was started with")
    parser.add_argument("--models-dir", type=Path, required=True, help="folder of Hugging Face model folders")
    arguments = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops at these, and then raises them once more
        signal.signal(ending, lambda *_: None)
    with TemporaryDirectory(prefix="outcrop-adapters-") as adapters_dir:
        server = serve(arguments.models_dir, arguments.port, Path(adapters_dir))
        server.run(None if arguments.fd is None else [inherited(arguments.fd)])
    os._exit(0)  # the model's thread may be inside torch, which aborts when the interpreter ends around it


if __name__ == "__main__":
    main()
