"""Sample from a causal language model: the trainer's rollouts and the local inference server use this one
loop.

Leaner than `transformers.generate` where that costs most on a CPU: rows are computed once for as long as they
say the same, from their prompt on; the cache grows in place instead of being copied at every token, grouped
keys are attended to without being repeated, finished rows leave the batch, and a token is drawn with one
random number. Works with a PEFT model too.

Log-probabilities are always the model's own: what a row's sampling forbids or favours does not change them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from training_image.draw import Row, draw, told, told_tokens, uniforms
from training_image.kv_cache import KeyValueCache
from training_image.sampling import ConstraintError, Sampling, Token
from training_image.trunk import Trail

_GROUPED_SDPA = "sdpa_grouped"
_ROWS_PER_PREFILL = 16


OnStep = Callable[[list[Token | ConstraintError | None]], Sequence[bool]]
"""Is told what each row has got, and says of each whether it is still wanted."""


@dataclass(frozen=True)
class Generated:
    token_ids: list[int]
    """Without the stop token."""
    logprobs: list[float]
    """Of these tokens, at the row's temperature and before top_p. NaN from a sampler that knows no more than
    what a form has left of them."""
    finish_reason: Literal["stop", "length"]
    stop: tuple[int, float] | None = None
    """The stop token that was drawn, and its log-probability."""
    trunk: Tensor | None = None
    """If asked for, what enters layer `trunk` at each token but the last that was drawn, prompt included:
    (tokens, width).
    """


OnEnd = Callable[[int, Generated], object]
"""Is told a row's place and its completion as soon as that has ended."""


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
    on_step: OnStep | None = None,
    on_end: OnEnd | None = None,
    trunk: int | None = None,
) -> list[Generated]:
    """A completion of each prompt. Prompts may differ in length. `trunk`: the layer whose inputs are kept;
    `on_end` has the completion without them.

    `on_step` is told each row's new token, None for a row that has ended (its stop token included), an error
    for one whose constraint cannot be kept to, and drops rows that are no longer wanted; these end with
    "length". `on_end` is told every completion once, while others go on.
    """
    was_training = model.training
    model.eval()
    _attend_in_groups(model)
    try:
        rows = [
            Row(sampling, uniforms(sampling), sampling.constraint and sampling.constraint.start())
            for sampling in samplings
        ]
        with Trail.of(model, trunk) as trail:
            _decode(model, prompts, rows, frozenset(stop_token_ids), on_step, on_end, trail)
    finally:
        model.train(was_training)
    made = [_generated(row) for row in rows]
    if trail is None:
        return made
    return [
        replace(one, trunk=trail.followed(len(prompt), row.slots))
        for one, prompt, row in zip(made, prompts, rows, strict=True)
    ]


@torch.inference_mode()
def score(model: Any, prompt: Sequence[int], top_logprobs: int) -> list[Token]:
    """The prompt's tokens as `on_step` tells those of a completion; nothing comes before the first."""
    logits = model(input_ids=torch.tensor([prompt], device=model.device)).logits[0, :-1].float()
    return [Token(prompt[0])] + [
        told(one, token, top_logprobs) for one, token in zip(logits, prompt[1:], strict=True)
    ]


def _decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: list[Row],
    stop: frozenset[int],
    on_step: OnStep | None,
    on_end: OnEnd | None,
    trail: Trail | None,
) -> None:
    cache, padding, logits, slots = _read(model, prompts, rows)
    if trail:
        trail.end_prompts()
    active = list(range(len(rows)))
    for position in range(max(row.sampling.max_tokens for row in rows)):
        going = [rows[index] for index in active]
        drawn, logprobs, failed = draw(logits, going, position, slots)
        tokens = told_tokens(logits, drawn, going, slots)
        new: list[Token | ConstraintError | None] = [None] * len(rows)
        for place, (index, token, logprob) in enumerate(zip(active, tokens, logprobs.tolist(), strict=True)):
            row = rows[index]
            if error := failed.get(place) or _accept(row, token.id, stop):
                row.finish_reason, new[index] = "length", error
            elif token.id in stop:
                row.finish_reason, row.stop = "stop", (token.id, logprob)
            else:
                row.tokens.append(token.id)
                row.logprobs.append(logprob)
                new[index] = token
                if len(row.tokens) == row.sampling.max_tokens:
                    row.finish_reason = "length"
        wanted = on_step(new) if on_step else [True] * len(rows)
        kept = [
            place for place, index in enumerate(active) if rows[index].finish_reason is None and wanted[index]
        ]
        if on_end:
            for index in set(active) - {active[place] for place in kept}:
                on_end(index, _generated(rows[index]))
        if not kept:
            return
        active = [active[place] for place in kept]
        heads, slots = arranged([(slots[place], tokens[place].id) for place in kept])
        sources = [slot for slot, _ in heads]
        cache.arrange(sources)
        padding = padding[torch.tensor(sources, device=padding.device)]
        ids = torch.tensor([[token] for _, token in heads], device=model.device)
        logits = _forward(model, ids, padding, cache)
        for index, slot in zip(active, slots, strict=True):
            rows[index].slots.append(slot)


def arranged(heads: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[int]]:
    """`heads`: of each row, the slot it was in and the token it has drawn. Equal ones share a slot from now
    on: of each new slot the head, and of each row the slot. A slot stays where it is if it can.
    """
    distinct = list(dict.fromkeys(heads))
    placed: dict[int, tuple[int, int]] = {}
    for head in distinct:
        if head[0] < len(distinct):
            placed.setdefault(head[0], head)
    free = (place for place in range(len(distinct)) if place not in placed)
    staying = set(placed.values())
    placed |= {next(free): head for head in distinct if head not in staying}
    slots = {head: place for place, head in placed.items()}
    return [placed[place] for place in range(len(distinct))], [slots[head] for head in heads]


def _generated(row: Row) -> Generated:
    return Generated(row.tokens, row.logprobs, row.finish_reason or "length", row.stop)


def _accept(row: Row, token: int, stop: frozenset[int]) -> ConstraintError | None:
    if row.guide and token not in stop:
        try:
            row.guide.accept(token)
        except ConstraintError as error:
            return error
    return None


def _read(
    model: Any, prompts: Sequence[Sequence[int]], rows: list[Row]
) -> tuple[KeyValueCache, Tensor, Tensor, list[int]]:
    """The cache of the slots that rows start from, their left padding, the logits of their next token, and
    the slot of each row: each distinct prompt is read once, and is one slot.
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

    starts = [places[tuple(prompt)] for prompt in prompts]
    for row, place in zip(rows, starts, strict=True):
        row.slots.append(place)
    every = torch.arange(len(distinct), device=model.device)
    return KeyValueCache.stacked(caches, every, room=len(rows)), padding, torch.cat(logits), starts


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
