"""The layers below the first one that learns: what they make of a sequence never changes, so what they made
of it while it was sampled serves its training step too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_PLAIN_DECODERS = ("llama", "qwen2", "qwen3")
"""Model types whose layers are run one after another with nothing between them, all attending alike."""


def trunk_layers(model: Any) -> int:
    """How many of the lowest layers do not learn, embeddings included; 0 too where the rest cannot be run by
    itself.
    """
    decoder = decoder_of(model)
    is_plain = model.config.model_type in _PLAIN_DECODERS
    if not is_plain or not model.config._attn_implementation.startswith("sdpa"):
        return 0
    if _learns(decoder.get_input_embeddings()):
        return 0
    for place, layer in enumerate(decoder.layers):
        if _learns(layer):
            return place
    return 0


def decoder_of(model: Any) -> Any:
    """The layers, without head and adapter, of a model of transformers or a PEFT model of one."""
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).base_model


def above(decoder: Any, first: int, hidden: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
    """What the decoder makes of what enters its layer `first`: (rows, tokens, width), and a mask of
    (rows, 1, tokens, tokens) that is true where a token is seen.
    """
    rotary = decoder.rotary_emb(hidden, position_ids=positions)
    for layer in decoder.layers[first:]:
        hidden = layer(
            hidden,
            attention_mask=mask,
            position_ids=positions,
            position_embeddings=rotary,
            use_cache=False,
        )
    return decoder.norm(hidden)


class Trail:
    """What has entered one layer, forward pass by forward pass."""

    def __init__(self) -> None:
        self._prompts: Tensor
        self._passes: list[Tensor] = []

    @classmethod
    @contextmanager
    def of(cls, model: Any, layer: int | None) -> Iterator["Trail | None"]:
        """Watches the layer, if there is one to watch."""
        if layer is None:
            yield None
            return
        trail = cls()

        def note(_: Any, hidden: tuple[Any, ...], named: dict[str, Any]) -> None:
            trail._passes.append(hidden[0] if hidden else named["hidden_states"])

        hook = decoder_of(model).layers[layer].register_forward_pre_hook(note, with_kwargs=True)
        try:
            yield trail
        finally:
            hook.remove()

    def end_prompts(self) -> None:
        """What was seen so far are the prompts, padded on the left; from now on each pass is a token."""
        self._prompts, self._passes = torch.cat(self._passes), []

    def followed(self, length: int, slots: Sequence[int]) -> Tensor:
        """(tokens, width) of a prompt of that length, in the first of `slots`, and of the tokens after it,
        one in each pass, in the other slots.
        """
        tokens = [self._passes[number][slot] for number, slot in enumerate(slots[1:])]
        return torch.cat([self._prompts[slots[0], -length:], *tokens])


def _learns(module: Any) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
