"""What verl's configuration holds, read from its source: tests hold our translation to it.

Run: pip download --no-deps verl==0.9.1 -d DIR && python -m scripts.verl_config DIR/verl-*.whl \
    > tests/trainer/verl_config.json
"""

import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_WHOLE = "verl/trainer/config/_generated_ppo_trainer.yaml"
_LOSSES = "verl/trainer/ppo/core_algos.py"
_CLASSES = {
    "actor_rollout_ref.actor.checkpoint": ("verl/trainer/config/config.py", "CheckpointConfig"),
    "actor_rollout_ref.model": ("verl/workers/config/model.py", "HFModelConfig"),
}
"""Dataclasses with fields that the YAML leaves out: Hydra takes those with a `+`."""
_METHODS = {"PPOTrainer": "verl/trainer/ppo/v1/trainer_base.py"}


def read(wheel: zipfile.ZipFile) -> dict[str, Any]:
    losses = wheel.read(_LOSSES).decode()
    return {
        "version": wheel.filename.split("-")[1] if wheel.filename else "",
        "keys": sorted(_leaves(yaml.safe_load(wheel.read(_WHOLE)))),
        "further": sorted(
            f"{key}.{field}" for key, (path, name) in _CLASSES.items() for field in _fields(wheel, path, name)
        ),
        "loss_modes": sorted(re.findall(r'@register_policy_loss\("(\w+)"\)', losses)),
        "loss_agg_modes": sorted({*re.findall(r'"((?:seq|token)-[\w-]+)"', losses)}),
        "methods": {
            name: {
                node.name: [one.arg for one in node.args.args if one.arg != "self"]
                for node in _class(wheel, path, name).body
                if isinstance(node, ast.FunctionDef)
            }
            for name, path in _METHODS.items()
        },
    }


def _leaves(part: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in part.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _fields(wheel: zipfile.ZipFile, path: str, name: str) -> list[str]:
    own = [node for node in _class(wheel, path, name).body if isinstance(node, ast.AnnAssign)]
    return [ast.unparse(node.target) for node in own]


def _class(wheel: zipfile.ZipFile, path: str, name: str) -> ast.ClassDef:
    tree = ast.parse(wheel.read(path))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        json.dump(read(wheel), sys.stdout, indent=1)
        sys.stdout.write("\n")
