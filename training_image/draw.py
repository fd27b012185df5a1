"""The next token of every row of a batch, by each row's own sampling."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from training_image.constraints import Guide
from training_image.sampling import ConstraintError, Sampling, Token


@dataclass
class Row:
    """One completion on its way."""

    sampling: Sampling
    uniforms: Tensor
    """One draw for each token that may come."""
    guide: Guide | None
    slots: list[int] = field(default_factory=list)
    """Where its tokens were computed: its prompt's place, then a slot for each token it has drawn."""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: Literal["stop", "length"] | None = None
    stop: tuple[int, float] | None = None

    @property
    def is_shaped(self) -> bool:
        """Whether something other than temperature and top_p has a say in its tokens."""
        wants = self.sampling
        return bool(self.guide or wants.logit_bias or wants.presence_penalty or wants.frequency_penalty)


def draw(
    logits: Tensor, rows: list[Row], position: int, slots: Sequence[int] | None = None
) -> tuple[Tensor, Tensor, dict[int, ConstraintError]]:
    """A token of each row, its log-probability at the row's temperature, and the rows that cannot go on.

    `slots`: which of the logits is each row's; rows that share one have the same prompt and tokens so far.
    None: each row has its own, in order.

    Raises: FloatingPointError for logits that are not numbers.
    """
    laws, leads, origins = _laws(rows, range(len(rows)) if slots is None else slots)
    if origins != [*range(len(logits))]:
        logits = logits[torch.tensor(origins, device=logits.device)]
    probabilities = own = _probabilities(logits, leads)
    failed: dict[int, ConstraintError] = {}
    if any(row.is_shaped for row in leads):
        logits, failed = _shaped(logits, leads)
        probabilities = _probabilities(logits, leads)
    law = torch.tensor(laws, device=logits.device)
    is_greedy = [row.sampling.temperature == 0 for row in rows]
    if all(is_greedy):
        tokens = logits.argmax(dim=-1)[law]
    else:
        kept = _nucleus(probabilities, [row.sampling.top_p for row in leads])
        cumulative = kept.cumsum(dim=-1)
        column, chances = _chances(rows, position, laws, len(leads))
        # The first token whose cumulative probability exceeds the draw: never one of probability 0.
        total = cumulative[:, -1:]
        below = (chances.to(logits.device) * total).minimum(total.nextafter(torch.zeros_like(total)))
        tokens = torch.searchsorted(cumulative, below, right=True)[law, column.to(logits.device)]
        if any(is_greedy):
            greedy = torch.tensor(is_greedy, device=logits.device)
            tokens = torch.where(greedy, logits.argmax(dim=-1)[law], tokens)
    tokens = tokens.clamp(max=logits.shape[1] - 1)  # beyond them is what was drawn of no numbers
    logprobs = own[law, tokens].log()
    if logprobs.isnan().any():
        raise FloatingPointError("the model's logits are not numbers")
    return tokens, logprobs, {row: failed[one] for row, one in enumerate(laws) if one in failed}


def _laws(rows: list[Row], slots: Sequence[int]) -> tuple[list[int], list[Row], list[int]]:
    """Rows that draw from one distribution share a law: of each row its law, and of each law a row and the
    slot.
    """
    found: dict[tuple[float, ...], int] = {}
    laws, leads, origins = [], [], []
    for place, (row, slot) in enumerate(zip(rows, slots, strict=True)):
        wants = row.sampling
        key = (slot, place) if row.is_shaped else (slot, wants.temperature, wants.top_p)
        if key not in found:
            leads.append(row)
            origins.append(slot)
        laws.append(found.setdefault(key, len(found)))
    return laws, leads, origins


def _probabilities(logits: Tensor, leads: list[Row]) -> Tensor:
    temperatures = [row.sampling.temperature or 1.0 for row in leads]
    if any(one != 1.0 for one in temperatures):
        logits = logits / torch.tensor(temperatures, device=logits.device)[:, None]
    return torch.softmax(logits, dim=-1)


def _chances(rows: list[Row], position: int, laws: Sequence[int], count: int) -> tuple[Tensor, Tensor]:
    """Of each row its place among those of its law, and the rows' draws as (laws, places)."""
    drawn: list[list[Tensor]] = [[] for _ in range(count)]
    column = []
    for row, law in zip(rows, laws, strict=True):
        column.append(len(drawn[law]))
        drawn[law].append(row.uniforms[position])
    chances = torch.zeros(count, max(map(len, drawn)))
    for law, ones in enumerate(drawn):
        chances[law, : len(ones)] = torch.stack(ones)
    return torch.tensor(column), chances


def _shaped(logits: Tensor, rows: list[Row]) -> tuple[Tensor, dict[int, ConstraintError]]:
    """Logits after each row's own wishes: bias, penalties, and at last what its constraint forbids."""
    logits, failed = logits.clone(), {}
    for place, row in enumerate(rows):
        wants = row.sampling
        if wants.logit_bias:
            ids = torch.tensor(list(wants.logit_bias), device=logits.device)
            logits[place, ids] += torch.tensor(list(wants.logit_bias.values()), device=logits.device)
        if row.tokens and (wants.presence_penalty or wants.frequency_penalty):
            ids, counts = torch.tensor(row.tokens, device=logits.device).unique(return_counts=True)
            logits[place, ids] -= wants.presence_penalty + wants.frequency_penalty * counts
        if row.guide:
            try:
                logits[place].masked_fill_(~row.guide.allowed().to(logits.device), -torch.inf)
            except ConstraintError as error:
                failed[place] = error
    return logits, failed


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


def told_tokens(logits: Tensor, drawn: Tensor, rows: list[Row], slots: Sequence[int]) -> list[Token]:
    """What was drawn, with log-probabilities where they are asked for."""
    tokens = [Token(token) for token in drawn.tolist()]
    for place, row in enumerate(rows):
        if row.sampling.top_logprobs is not None:
            tokens[place] = told(logits[slots[place]], tokens[place].id, row.sampling.top_logprobs)
    return tokens


def told(logits: Tensor, token: int, top_logprobs: int) -> Token:
    logprobs = logits.log_softmax(dim=-1)
    top = logprobs.topk(top_logprobs)
    likeliest = tuple(zip(top.indices.tolist(), top.values.tolist(), strict=True))
    return Token(token, logprobs[token].item(), likeliest)


def uniforms(sampling: Sampling) -> Tensor:
    if sampling.temperature == 0:
        return torch.zeros(sampling.max_tokens)
    generator = None if sampling.seed is None else torch.Generator().manual_seed(sampling.seed)
    return torch.rand(sampling.max_tokens, generator=generator)
