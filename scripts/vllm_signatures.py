"""What vLLM takes, read from its source: tests hold our calls to it where vLLM itself cannot be installed.

Run: pip download --no-deps vllm==0.31.0 -d DIR && python -m scripts.vllm_signatures DIR/vllm-*.whl \
    > tests/trainer/vllm_signatures.json
"""

import ast
import json
import sys
import zipfile

_FIELDS = {
    "EngineArgs": "vllm/engine/arg_utils.py",
    "SamplingParams": "vllm/sampling_params.py",
    "StructuredOutputsParams": "vllm/sampling_params.py",
    "StructuredOutputsConfig": "vllm/config/structured_outputs.py",
    "LoRARequest": "vllm/lora/request.py",
    "CompletionOutput": "vllm/outputs.py",
    "CompletionRequest": "vllm/entrypoints/openai/completion/protocol.py",
    "CompletionResponseChoice": "vllm/entrypoints/openai/completion/protocol.py",
    "LoadLoRAAdapterRequest": "vllm/entrypoints/serve/lora/protocol.py",
    "UnloadLoRAAdapterRequest": "vllm/entrypoints/serve/lora/protocol.py",
}
_METHODS = {"LLMEngine": "vllm/v1/engine/llm_engine.py"}


def signatures(wheel: zipfile.ZipFile) -> dict[str, object]:
    """Names of fields by class, and of parameters by method."""
    found: dict[str, object] = {"version": wheel.filename.split("-")[1] if wheel.filename else ""}
    for name, path in _FIELDS.items():
        own = [node for node in _class(wheel, path, name).body if isinstance(node, ast.AnnAssign)]
        found[name] = sorted(ast.unparse(node.target) for node in own)
    for name, path in _METHODS.items():
        own = [node for node in _class(wheel, path, name).body if isinstance(node, ast.FunctionDef)]
        found[name] = {
            node.name: [one.arg for one in (*node.args.args, *node.args.kwonlyargs) if one.arg != "self"]
            for node in own
            if not node.name.startswith("_")
        }
    return found


def _class(wheel: zipfile.ZipFile, path: str, name: str) -> ast.ClassDef:
    tree = ast.parse(wheel.read(path))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        json.dump(signatures(wheel), sys.stdout, indent=1)
        sys.stdout.write("\n")
