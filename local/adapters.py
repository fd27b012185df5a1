"""Tuned models by name, LoRA adapters and those with weights of their own, each as a folder on this machine;
the least recently used of too many is forgotten.

Who asks for a forgotten one gets a 404, and then loads it again: `outcrop.serving.openai_compatible` does so
unasked.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import rmtree

from outcrop.errors import APIError, NotFoundError
from outcrop.stores.objects import ObjectStore

CAPACITY = 16
WHOLE_CAPACITY = 2
"""Of those with weights of their own, which are as large as their base model."""

_FILES = {False: ("adapter_config.json", "adapter_model.safetensors"), True: ("config.json",)}
"""What a folder has at least, by whether it has all weights."""


@dataclass(frozen=True)
class Adapter:
    name: str
    base: str
    source: str
    is_whole: bool
    folder: Path
    """Ours alone and never used twice, so it also says which weights in memory are these."""


class Adapters:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: OrderedDict[str, Adapter] = OrderedDict()
        self._numbers = count()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one download at a time, and nobody who only looks waits for it

    def load(self, name: str, source: str, base: str, *, is_whole: bool = False) -> Adapter:
        """Fetch an adapter, or all weights, from `s3://bucket/prefix/`. Loading what is loaded already
        changes nothing."""
        with self._loading:
            known = self.find(name)
            if known and (known.source, known.base) == (source, base):
                return known
            adapter = Adapter(name, base, source, is_whole, self._root / f"adapter-{next(self._numbers)}")
            with self._lock:
                self._make_room(adapter)
            _download(source, adapter.folder, base, is_whole)
            with self._lock:
                self._known[name] = adapter
            return adapter

    def find(self, name: str) -> Adapter | None:
        with self._lock:
            if name in self._known:
                self._known.move_to_end(name)
            return self._known.get(name)

    def unload(self, name: str) -> None:
        with self._lock:
            if name not in self._known:
                raise NotFoundError(
                    f"The adapter '{name}' is not loaded.", param="lora_name", code="model_not_found"
                )
            self._forget(name)

    def list(self) -> list[Adapter]:
        with self._lock:
            return list(self._known.values())

    def _make_room(self, adapter: Adapter) -> None:
        self._forget(adapter.name)
        whole = [name for name, one in self._known.items() if one.is_whole]
        if adapter.is_whole and len(whole) >= WHOLE_CAPACITY:
            self._forget(whole[0])
        if len(self._known) >= CAPACITY:
            self._forget(next(iter(self._known)))

    def _forget(self, name: str) -> None:
        if adapter := self._known.pop(name, None):
            rmtree(adapter.folder)


def _download(source: str, folder: Path, base: str, is_whole: bool) -> None:
    """Raises: APIError for what is no adapter, or one of another model than `base`, or no model."""
    param, kind = ("model_path", "model") if is_whole else ("lora_path", "adapter")
    _, _, path = source.partition("s3://")
    bucket, _, prefix = path.partition("/")
    if not prefix:
        raise APIError(f"{param}: '{source}' is not of the form s3://bucket/prefix/.", param=param)
    try:
        ObjectStore(bucket).download_folder(f"{prefix.removesuffix('/')}/", folder)
    except FileNotFoundError as error:
        raise NotFoundError(f"{param}: nothing lies at {source}.", param=param) from error
    missing = [file for file in _FILES[is_whole] if not (folder / file).is_file()]
    if missing:
        rmtree(folder)
        raise APIError(f"{param}: {source} is no {kind}, it has no {missing[0]}.", param=param)
    if is_whole:
        return
    trained_on = json.loads((folder / "adapter_config.json").read_bytes())["base_model_name_or_path"]
    if trained_on != base:
        rmtree(folder)
        raise APIError(
            f"lora_path: the adapter at {source} was trained on '{trained_on}', and base_model_name is "
            f"'{base}'. It answers on top of '{trained_on}' alone.",
            param="lora_path",
        )
