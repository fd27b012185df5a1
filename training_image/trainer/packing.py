"""Log-probabilities of a group's completions with every shared token computed once.

A group is many completions of one prompt. Written one per row, the prompt is computed as often as there are
completions, and so is whatever completions have in common, which grows as the policy settles. Here the group
is a tree of tokens in one row: each node's position is its depth, and it attends to its ancestors only.
Log-probabilities and gradients are those of the plain rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training_image.trunk import above, decoder_of, trunk_layers

_HEAD_ROWS = 256
"""Positions whose logits (a row of the vocabulary each) are held at once."""


@dataclass(frozen=True)
class Tree:
    """Sequences as nodes, parents before children; each distinct prefix is one node."""

    tokens: list[int]
    parents: list[int]
    """-1 for a first token."""
    depths: list[int]
    paths: list[list[int]]
    """The nodes of each sequence."""

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "Tree":
        tree = cls([], [], [], [])
        children: dict[tuple[int, int], int] = {}
        for sequence in sequences:
            path: list[int] = []
            for token in sequence:
                parent = path[-1] if path else -1
                node = children.setdefault((parent, token), len(tree.tokens))
                if node == len(tree.tokens):
                    tree.tokens.append(token)
                    tree.parents.append(parent)
                    tree.depths.append(len(path))
                path.append(node)
            tree.paths.append(path)
        return tree

    def mask(self) -> Tensor:
        """(nodes, nodes): what each node attends to: its ancestors and itself."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen


def log_probabilities(
    model: Any,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    temperature: float,
    trunks: Sequence[Tensor] | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Of each completion: its tokens' log-probabilities, and the entropies at the places they were drawn.

    `model` is a decoder of transformers, or a PEFT model of one, that attends by `sdpa` in all layers.
    `trunks`: of each sequence what enters the first layer that learns, if that is known (`Generated.trunk`).
    Gradients flow through the log-probabilities, not through the entropies.
    """
    # Each token is drawn at the one before it: nothing is asked of the last one.
    tree = Tree.of(
        [[*prompt, *completion[:-1]] for prompt, completion in zip(prompts, completions, strict=True)]
    )
    hidden = _hidden(model, tree, trunks)
    device = hidden.device
    places = [path[len(prompt) - 1 :] for path, prompt in zip(tree.paths, prompts, strict=True)]
    sources = {place: row for row, place in enumerate(sorted({one for path in places for one in path}))}
    pairs: dict[tuple[int, int], int] = {}
    chosen = [
        torch.tensor(
            [
                pairs.setdefault((sources[at], token), len(pairs))
                for at, token in zip(path, tokens, strict=True)
            ],
            device=device,
        )
        for path, tokens in zip(places, completions, strict=True)
    ]
    rows, tokens = torch.tensor(list(pairs), device=device).T
    logprobs, entropies = _Head.apply(
        hidden[torch.tensor(list(sources), device=device)],
        model.get_output_embeddings().weight,
        rows,
        tokens,
        temperature,
    )
    entropies = entropies[rows]
    return [logprobs[one] for one in chosen], [entropies[one] for one in chosen]


def _hidden(model: Any, tree: Tree, trunks: Sequence[Tensor] | None) -> Tensor:
    """(nodes, width): what the decoder makes of each node."""
    decoder, device = decoder_of(model), model.device
    mask = tree.mask().to(device)[None, None]
    positions = torch.tensor([tree.depths], device=device)
    if trunks is None:
        output = decoder(
            input_ids=torch.tensor([tree.tokens], device=device),
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
        )
        return output.last_hidden_state[0]
    place = {node: at for at, node in enumerate(node for path in tree.paths for node in path)}
    known = torch.cat([trunk[: len(path)] for trunk, path in zip(trunks, tree.paths, strict=True)])
    entering = known[torch.tensor([place[node] for node in range(len(tree.tokens))], device=device)]
    return above(decoder, trunk_layers(model), entering[None], mask, positions)[0]


class _Head(torch.autograd.Function):
    """Hidden states (rows, width) to the log-probability of each (row, token) pair and each row's entropy.

    d logp(token) / d hidden = (weight[token] - expected weight) / temperature, so the forward pass keeps the
    expected weight, as small as the hidden states, and no logits: the backward pass needs neither them nor a
    second projection, unless the weight itself learns.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, rows: Tensor, tokens: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        logprobs = torch.empty(len(rows), device=hidden.device)
        entropies, expected = [], []
        for start in range(0, len(hidden), _HEAD_ROWS):
            logits = _logits(hidden[start : start + _HEAD_ROWS], weight, temperature)
            probabilities = torch.softmax(logits, dim=-1)
            # The largest probability is exp(largest logit - normalizer).
            normalizers = logits.amax(dim=-1) - probabilities.amax(dim=-1).log()
            entropies.append(normalizers - torch.linalg.vecdot(probabilities, logits))
            here = (rows >= start) & (rows < start + _HEAD_ROWS)
            logprobs[here] = logits[rows[here] - start, tokens[here]] - normalizers[rows[here] - start]
            if ctx.needs_input_grad[0]:
                expected.append(probabilities.to(weight.dtype) @ weight)
        if expected:
            kept = hidden if ctx.needs_input_grad[1] else None
            ctx.save_for_backward(torch.cat(expected), weight, rows, tokens, kept)
            ctx.temperature, ctx.precision = temperature, hidden.dtype
        entropy = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        expected, weight, rows, tokens, kept = ctx.saved_tensors
        asked = gradients[0] / ctx.temperature
        slopes = (weight[tokens] - expected[rows]).float() * asked[:, None]
        hidden = torch.zeros_like(expected, dtype=slopes.dtype).index_add_(0, rows, slopes)
        of_weight = None if kept is None else _of_weight(kept, weight, rows, tokens, asked, ctx.temperature)
        return hidden.to(ctx.precision), of_weight, None, None, None


def _logits(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    logits = (hidden @ weight.T).float()
    if temperature != 1.0:
        logits /= temperature
    return logits


def _of_weight(
    hidden: Tensor, weight: Tensor, rows: Tensor, tokens: Tensor, asked: Tensor, temperature: float
) -> Tensor:
    """The gradient of the head's weight, which knows every logit: they are projected anew, some rows at a
    time. `asked` is each pair's, divided by the temperature.

    d logp(token) / d weight[one] = (1 if it is the token, less its probability) * hidden / temperature.
    """
    pairs = asked[:, None] * hidden[rows].float()
    gradient = torch.zeros(weight.shape, device=weight.device).index_add_(0, tokens, pairs)
    of_rows = torch.zeros(len(hidden), device=hidden.device).index_add_(0, rows, asked)
    for start in range(0, len(hidden), _HEAD_ROWS):
        some = hidden[start : start + _HEAD_ROWS]
        probabilities = torch.softmax(_logits(some, weight, temperature), dim=-1)
        scaled = some.float() * of_rows[start : start + _HEAD_ROWS, None]
        gradient -= probabilities.T @ scaled
    return gradient.to(weight.dtype)
