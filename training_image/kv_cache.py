"""A key-value cache that grows in place.

transformers' `DynamicCache` copies every layer's whole cache at every token; this one copies when it is full,
which is when it has doubled.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _Layer(CacheLayerMixin):
    is_sliding = False

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = key_states, value_states
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens so far (rows, heads, tokens, width), the given ones at their end."""
        start, self.length = self.length, self.length + key_states.shape[2]
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        if self.length > self.keys.shape[2]:
            self.keys = _widened(self.keys, start, 2 * self.length)
            self.values = _widened(self.values, start, 2 * self.length)
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def select(self, rows: Tensor) -> None:
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return -1


class KeyValueCache(Cache):
    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_Layer)

    @classmethod
    def stacked(cls, caches: Sequence["KeyValueCache"], rows: Tensor) -> "KeyValueCache":
        """One cache whose rows are those `rows` of all the caches' rows, of which one may be named many
        times.
        """
        made = cls()
        for parts in zip(*(cache.layers for cache in caches), strict=True):
            layer = _Layer()
            layer.length = parts[0].length
            layer.lazy_initialization(
                torch.cat([part.keys for part in parts])[rows],
                torch.cat([part.values for part in parts])[rows],
            )
            made.layers.append(layer)
        return made

    def select(self, rows: Tensor) -> None:
        """Keep only these rows."""
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            layer.select(rows)


def _widened(states: Tensor, length: int, width: int) -> Tensor:
    wider = states.new_empty(*states.shape[:2], width, states.shape[3])
    wider[:, :, :length] = states[:, :, :length]
    return wider
