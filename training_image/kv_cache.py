"""A key-value cache that grows in place.

transformers' `DynamicCache` copies every layer's whole cache at every token; this one copies when it is full,
which is when it has doubled. Rows come and go without the others being copied.
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
        self.rows = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = key_states, value_states
        self.rows = len(key_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens so far (rows, heads, tokens, width), the given ones at their end."""
        start, self.length = self.length, self.length + key_states.shape[2]
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        rows = slice(self.rows)
        if self.length > self.keys.shape[2]:
            room = (len(self.keys), 2 * self.length)
            self.keys = _roomier(self.keys[rows, :, :start], *room)
            self.values = _roomier(self.values[rows, :, :start], *room)
        self.keys[rows, :, start : self.length] = key_states
        self.values[rows, :, start : self.length] = value_states
        return self.keys[rows, :, : self.length], self.values[rows, :, : self.length]

    def arrange(self, targets: Tensor, origins: Tensor, rows: int) -> None:
        """`rows` rows, of which `targets` become what `origins` are now."""
        if self.keys is not None and self.values is not None:
            self.keys[targets, :, : self.length] = self.keys[origins, :, : self.length]
            self.values[targets, :, : self.length] = self.values[origins, :, : self.length]
            self.rows = rows

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
    def stacked(cls, caches: Sequence["KeyValueCache"], rows: Tensor, *, room: int) -> "KeyValueCache":
        """One cache whose rows are those `rows` of all the caches' rows, of which one may be named many
        times, with room for `room` rows.
        """
        made = cls()
        for parts in zip(*(cache.layers for cache in caches), strict=True):
            layer = _Layer()
            layer.length = parts[0].length
            layer.lazy_initialization(
                _roomier(torch.cat([part.keys for part in parts])[rows], room, layer.length),
                _roomier(torch.cat([part.values for part in parts])[rows], room, layer.length),
            )
            layer.rows = len(rows)
            made.layers.append(layer)
        return made

    def arrange(self, sources: Sequence[int]) -> None:
        """Row i becomes what row `sources[i]` is now; only rows that are elsewhere are copied, and no other
        row may be wanted of a place that is written to.
        """
        targets = [row for row, source in enumerate(sources) if row != source]
        assert not {sources[row] for row in targets} & set(targets)
        origins = torch.tensor([sources[row] for row in targets], dtype=torch.long)
        places = torch.tensor(targets, dtype=torch.long)
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            layer.arrange(places, origins, len(sources))


def _roomier(states: Tensor, rows: int, width: int) -> Tensor:
    """The same in a larger tensor, of which the rest is undefined."""
    if (rows, width) == (states.shape[0], states.shape[2]):
        return states
    larger = states.new_empty(rows, states.shape[1], width, states.shape[3])
    larger[: states.shape[0], :, : states.shape[2]] = states
    return larger
