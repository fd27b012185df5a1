"""The next token of every row of a batch, by each row's own sampling."""

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
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: Literal["stop", "length"] | None = None
    stop: tuple[int, float] | None = None

    @property
    def is_shaped(self) -> bool:
        """Whether something other than temperature and top_p has a say in its tokens."""
        wants = self.sampling
        return bool(self.guide or wants.logit_bias or wants.presence_penalty or wants.frequency_penalty)


def draw(logits: Tensor, rows: list[Row], position: int) -> tuple[Tensor, Tensor, dict[int, ConstraintError]]:
    """A token of each row, its log-probability at the row's temperature, and the rows that cannot go on.

    Raises: FloatingPointError for logits that are not numbers.
    """
    temperatures = torch.tensor([row.sampling.temperature or 1.0 for row in rows], device=logits.device)
    probabilities = own = torch.softmax(logits / temperatures[:, None], dim=-1)
    failed: dict[int, ConstraintError] = {}
    if any(row.is_shaped for row in rows):
        logits, failed = _shaped(logits, rows)
        probabilities = torch.softmax(logits / temperatures[:, None], dim=-1)
    likeliest = logits.argmax(dim=-1)
    if all(row.sampling.temperature == 0 for row in rows):
        tokens = likeliest
    else:
        kept = _nucleus(probabilities, [row.sampling.top_p for row in rows])
        cumulative = kept.cumsum(dim=-1)
        chances = torch.stack([row.uniforms[position] for row in rows]).to(logits.device)
        # The first token whose cumulative probability exceeds the draw: never one of probability 0.
        total = cumulative[:, -1:]
        below = (chances[:, None] * total).minimum(total.nextafter(torch.zeros_like(total)))
        drawn = torch.searchsorted(cumulative, below, right=True).squeeze(1)
        greedy = torch.tensor([row.sampling.temperature == 0 for row in rows], device=logits.device)
        tokens = torch.where(greedy, likeliest, drawn)
    tokens = tokens.clamp(max=logits.shape[1] - 1)  # beyond them is what was drawn of no numbers
    logprobs = own.gather(1, tokens[:, None]).squeeze(1).log()
    if logprobs.isnan().any():
        raise FloatingPointError("the model's logits are not numbers")
    return tokens, logprobs, failed


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


def told_tokens(logits: Tensor, drawn: Tensor, rows: list[Row]) -> list[Token]:
    """What was drawn, with log-probabilities where they are asked for."""
    tokens = [Token(token) for token in drawn.tolist()]
    for place, row in enumerate(rows):
        if row.sampling.top_logprobs is not None:
            tokens[place] = told(logits[place], tokens[place].id, row.sampling.top_logprobs)
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
