"""Sample from a causal language model: the trainer's rollouts and the local inference server use this one
loop.

Leaner than `transformers.generate` where that costs most on a CPU: equal prompts are read once and their
cache is repeated, the cache grows in place instead of being copied at every token, grouped keys are attended
to without being repeated, finished rows leave the batch, and a token is drawn with one random number. Works
with a PEFT model too.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from training_image.kv_cache import KeyValueCache

_GROUPED_SDPA = "sdpa_grouped"
_ROWS_PER_PREFILL = 16


@dataclass(frozen=True)
class Sampling:
    max_tokens: int
    temperature: float = 1.0
    """0: always the likeliest token."""
    top_p: float = 1.0
    seed: int | None = None
    """Makes the row's draws its own: the same whatever else is in the batch. None: from torch's global
    generator.
    """


@dataclass(frozen=True)
class Generated:
    token_ids: list[int]
    """Without the stop token."""
    logprobs: list[float]
    """Of these tokens, at the row's temperature and before top_p."""
    finish_reason: Literal["stop", "length"]
    stop: tuple[int, float] | None = None
    """The stop token that was drawn, and its log-probability."""


@dataclass
class _Row:
    """One completion on its way."""

    sampling: Sampling
    uniforms: Tensor
    """One draw for each token that may come."""
    tokens: list[int]
    logprobs: list[float]
    finish_reason: Literal["stop", "length"] | None = None
    stop: tuple[int, float] | None = None


def stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a completion: all that the model declares, and the tokenizer's."""
    declared = model.generation_config.eos_token_id
    declared = [] if declared is None else [declared] if isinstance(declared, int) else declared
    return frozenset({*declared, tokenizer.eos_token_id} - {None})


@torch.inference_mode()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    samplings: Sequence[Sampling],
    *,
    stop_token_ids: Collection[int],
    on_step: Callable[[list[int | None]], bool] | None = None,
) -> list[Generated]:
    """A completion of each prompt. Prompts may differ in length.

    `on_step` is told each row's new token, None for a row that has ended (its stop token included), and may
    return False to stop early; rows not finished then end with "length".
    """
    was_training = model.training
    model.eval()
    _attend_in_groups(model)
    try:
        rows = [_Row(sampling, _uniforms(sampling), [], []) for sampling in samplings]
        _decode(model, prompts, rows, frozenset(stop_token_ids), on_step)
    finally:
        model.train(was_training)
    return [Generated(row.tokens, row.logprobs, row.finish_reason or "length", row.stop) for row in rows]


def _decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: list[_Row],
    stop: frozenset[int],
    on_step: Callable[[list[int | None]], bool] | None,
) -> None:
    device = model.device
    cache, padding, logits = _read(model, prompts)
    active = list(range(len(rows)))
    for position in range(max(row.sampling.max_tokens for row in rows)):
        drawn, logprobs = _draw(logits, [rows[index] for index in active], position)
        new: list[int | None] = [None] * len(rows)
        for index, token, logprob in zip(active, drawn.tolist(), logprobs.tolist(), strict=True):
            row = rows[index]
            if token in stop:
                row.finish_reason, row.stop = "stop", (token, logprob)
                continue
            row.tokens.append(token)
            row.logprobs.append(logprob)
            new[index] = token
            if len(row.tokens) == row.sampling.max_tokens:
                row.finish_reason = "length"
        if on_step is not None and not on_step(new):
            return
        kept = [place for place, index in enumerate(active) if rows[index].finish_reason is None]
        if not kept:
            return
        if len(kept) < len(active):
            active = [active[place] for place in kept]
            chosen = torch.tensor(kept, device=device)
            cache.select(chosen)
            padding, drawn = padding[chosen], drawn[chosen]
        logits = _forward(model, drawn[:, None], padding, cache)


def _read(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[KeyValueCache, Tensor, Tensor]:
    """The prompts' cache, left padding of each row, and logits of the next token: each distinct prompt read
    once.
    """
    places: dict[tuple[int, ...], int] = {}
    for prompt in prompts:
        places.setdefault(tuple(prompt), len(places))
    distinct = list(places)
    width = max(map(len, distinct))
    padding = torch.tensor([width - len(prompt) for prompt in distinct], device=model.device)
    ids = torch.tensor(
        [[0] * (width - len(prompt)) + list(prompt) for prompt in distinct], device=model.device
    )
    caches, logits = [], []
    for start in range(0, len(distinct), _ROWS_PER_PREFILL):  # bounds the activations of many long prompts
        part = slice(start, start + _ROWS_PER_PREFILL)
        caches.append(KeyValueCache())
        logits.append(_forward(model, ids[part], padding[part], caches[-1]))
    repeat = torch.tensor([places[tuple(prompt)] for prompt in prompts], device=model.device)
    cache = KeyValueCache.stacked(caches, repeat)
    return cache, padding[repeat], torch.cat(logits)[repeat]


def _forward(model: Any, ids: Tensor, padding: Tensor, cache: KeyValueCache) -> Tensor:
    """Logits after the last of `ids` (rows, tokens), in float32; `cache` grows by the tokens."""
    seen = cache.get_seq_length()
    places = torch.arange(seen + ids.shape[1], device=ids.device)
    mask = places >= padding[:, None] if bool(padding.any()) else None
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(places[seen:] - padding[:, None]).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1].float()


def _draw(logits: Tensor, rows: list[_Row], position: int) -> tuple[Tensor, Tensor]:
    """A token of each row, and its log-probability at the row's temperature."""
    temperatures = torch.tensor([row.sampling.temperature or 1.0 for row in rows], device=logits.device)
    probabilities = torch.softmax(logits / temperatures[:, None], dim=-1)
    likeliest = logits.argmax(dim=-1)
    if all(row.sampling.temperature == 0 for row in rows):
        tokens = likeliest
    else:
        kept = _nucleus(probabilities, [row.sampling.top_p for row in rows])
        cumulative = kept.cumsum(dim=-1)
        uniforms = torch.stack([row.uniforms[position] for row in rows]).to(logits.device)
        # The first token whose cumulative probability exceeds the draw: never one of probability 0.
        below = uniforms[:, None] * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, below, right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)
        greedy = torch.tensor([row.sampling.temperature == 0 for row in rows], device=logits.device)
        tokens = torch.where(greedy, likeliest, drawn)
    logprobs = probabilities.gather(1, tokens[:, None]).squeeze(1).log()
    return tokens, logprobs


def _nucleus(probabilities: Tensor, top_ps: list[float]) -> Tensor:
    """Probabilities with the tail beyond each row's top_p set to 0; the likeliest token always stays."""
    if all(top_p >= 1 for top_p in top_ps):
        return probabilities
    ordered, places = probabilities.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    limits = torch.tensor(top_ps, device=probabilities.device)[:, None]
    tail = (before >= limits) & (limits < 1)
    tail[:, 0] = False
    return torch.zeros_like(probabilities).scatter(1, places, ordered.masked_fill(tail, 0))


def _uniforms(sampling: Sampling) -> Tensor:
    if sampling.temperature == 0:
        return torch.zeros(sampling.max_tokens)
    generator = None if sampling.seed is None else torch.Generator().manual_seed(sampling.seed)
    return torch.rand(sampling.max_tokens, generator=generator)


def _attend_in_groups(model: Any) -> None:
    """On a CPU, let grouped-query attention use its keys as they are, where transformers repeats them if
    there is a mask.
    """
    config = model.config
    if model.device.type == "cpu" and config._attn_implementation == "sdpa":
        config._attn_implementation = _GROUPED_SDPA


def _grouped_sdpa(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """`sdpa` as transformers has it, less the copies of keys and values for each query head of a group."""
    causal = attention_mask is None and query.shape[2] > 1
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=attention_mask,
        dropout_p=dropout,
        scale=scaling,
        is_causal=causal,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(_GROUPED_SDPA, _grouped_sdpa)
AttentionMaskInterface.register(_GROUPED_SDPA, sdpa_mask)
