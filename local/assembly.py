"""The synthesized CDK app, as `cdk deploy` would deploy it, kept in the cache for as long as its sources are
the same.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.cache import REPOSITORY, cache_folder
from local.errors import LocalError

# The trainer's code runs from the working tree; the name stands for the image that AWS would pull.
_TRAINING_IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:local"


def synthesize(models: Sequence[str]) -> Path:
    """The folder of the cloud assembly of a deployment that offers these models. Raises: LocalError."""
    return synthesized(
        {
            "models": list(models),
            "training_image": _TRAINING_IMAGE,
            "serving_url": "http://127.0.0.1/v1",  # the inference server's, whose port is known at the start
            "s3_sources": {"*": ["s3://"]},  # whatever lies in the emulated account
            "max_concurrent_jobs": 1,  # two trainers on one machine take longer than one after the other
        }
    )


def synthesized(settings: Mapping[str, Any]) -> Path:
    """The same with any settings. Nothing is built: neither the functions' layer nor an image."""
    context = json.dumps({**settings, "aws:cdk:bundling-stacks": []})
    cache = cache_folder()
    folder = cache / f"assembly-{_fingerprint(context)}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "assembly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever asks second finds it made
        if not folder.exists():
            _synthesize(context, folder)
    return folder


def _synthesize(context: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".assembly-") as unfinished:
        output = Path(unfinished) / "cdk.out"
        done = subprocess.run(
            [sys.executable, "app.py"],
            cwd=REPOSITORY,
            env=os.environ | {"CDK_OUTDIR": str(output), "CDK_CONTEXT_JSON": context},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise LocalError(f"The CDK app cannot be synthesized (python app.py): {reason}")
        output.rename(folder)


def templates(assembly: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stack name and template of each stack, those it imports from first."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {name: one for name, one in artifacts.items() if one["type"] == "aws:cloudformation:stack"}
    done: set[str] = set()
    while len(done) < len(stacks):
        for name, stack in stacks.items():
            if name not in done and not (set(stack.get("dependencies", ())) & stacks.keys()) - done:
                done.add(name)
                yield name, json.loads((assembly / stack["properties"]["templateFile"]).read_text())


def _fingerprint(context: str) -> str:
    """Of everything that the templates are made from; the functions' sources are only copied."""
    digest = hashlib.sha256(context.encode())
    sources = [
        REPOSITORY / name
        for name in ("app.py", "cdk.json", "outcrop/catalogue.py", "outcrop/version.py", "uv.lock")
    ]
    for path in sorted([*sources, *(REPOSITORY / "stacks").rglob("*.py")]):
        digest.update(path.relative_to(REPOSITORY).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
