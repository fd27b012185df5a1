"""How much memory a job takes at its peak, before it starts. Pure: sizes in, bytes out.

A step samples, then learns, and never does both: of what either holds besides weights and optimizer, the
larger counts. Everything is worked out for completions of the greatest length, none of which share a token.
How far off this is, measured: `benchmarks/memory.py`.
"""

from dataclasses import dataclass

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.types.base_model import Shape

_ADAPTER_BYTES = 16
"""Of a trained parameter: itself, its gradient, and AdamW's two averages, in 32 bits each."""
_AVERAGES_BYTES = 8
"""Of a weight where all of them learn: AdamW's two averages. Its gradient is there while it learns alone."""
_MASTER_BYTES = 4
"""Of a weight that learns: in 16 bits most of its steps would round to none."""
_ROUNDED_BYTES = 2
"""Of a weight that a GPU rounds to 16 bits, to multiply by it."""
_SAMPLED_TOKENS = 65_536
"""The trainer's own loop samples so many at once (`training_image/trainer/sampler.py`)."""
_SCORED_ROWS = 256
"""And projects so many onto the vocabulary at once (`training_image/trainer/packing.py`)."""
_PROCESS_GB = {True: 0.8, False: 0.6}
"""On a GPU, CUDA's context; else Python with its libraries."""
_HELD_BACK = {True: 1.0, False: 1.2}
"""On a CPU what has been freed goes back to the machine late and in part: measured, a fifth of learning."""


@dataclass(frozen=True)
class Peak:
    """In bytes."""

    process: float
    weights: float
    """Of the reference model too, where there is no adapter to leave out."""
    optimizer: float
    sampling: float
    learning: float
    learns: str = "adapter and optimizer"
    """What `optimizer` is the size of."""

    @property
    def gb(self) -> float:
        return (self.process + self.weights + self.optimizer + max(self.sampling, self.learning)) / 1e9

    def __str__(self) -> str:
        parts = {"weights": self.weights, self.learns: self.optimizer, "sampling": self.sampling}
        told = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in parts.items())
        return f"{self.gb:.1f} GB ({told} or learning {self.learning / 1e9:.1f})"


def estimate(
    shape: Shape,
    numbers: TrainingHyperparameters,
    *,
    prompt_tokens: int,
    on_gpu: bool = True,
    weight_bytes: int = 2,
) -> Peak:
    """`prompt_tokens` is of the longest prompt; `weight_bytes` of one weight as an adapter is trained on it:
    2 or 4. Where all weights learn, they have 4.

    On a GPU activations are computed anew in the backward pass, so one layer's count besides what enters
    each; on a CPU all are kept.
    """
    length = prompt_tokens + numbers.max_completion_length
    rows = numbers.num_generations * numbers.prompts_per_step
    layers = min(numbers.lora_layers or shape.num_hidden_layers, shape.num_hidden_layers)
    is_packed, is_full = numbers.attention == "sdpa", numbers.learns_all_weights
    trained, targeted = (0, 0) if is_full else _adapter(shape, numbers)
    weight_bytes = _MASTER_BYTES if is_full else weight_bytes
    models = 2 if is_full and numbers.beta else 1
    optimizer = shape.parameters * _AVERAGES_BYTES if is_full else layers * trained * _ADAPTER_BYTES
    return Peak(
        process=_PROCESS_GB[on_gpu] * 1e9,
        weights=models * shape.parameters * weight_bytes,
        optimizer=optimizer,
        learns="optimizer" if is_full else "adapter and optimizer",
        sampling=_sampling(shape, rows, length, weight_bytes)
        # A CPU samples with the adapter added to a copy of the weights.
        + (0 if on_gpu or weight_bytes < 4 else layers * targeted * weight_bytes),
        learning=_HELD_BACK[on_gpu]
        * _learning(
            shape,
            prompt_tokens + numbers.num_generations * numbers.max_completion_length
            if is_packed
            else numbers.num_generations * length,
            # What a token may attend to: all of the tree, or its own row.
            None if is_packed else length,
            kept_layers=1 if on_gpu else layers,
            layers=layers,
            weight_bytes=weight_bytes,
        )
        + (_of_all_weights(shape, on_gpu) if is_full else 0),
    )


def _adapter(shape: Shape, numbers: TrainingHyperparameters) -> tuple[float, float]:
    """Of one layer: the adapter's parameters, and those of the weights that it is added to."""
    heads = shape.num_attention_heads * shape.head_dim
    kv = shape.num_key_value_heads * shape.head_dim
    hidden, inner = shape.hidden_size, shape.intermediate_size
    linear = {
        "q_proj": (hidden, heads),
        "k_proj": (hidden, kv),
        "v_proj": (hidden, kv),
        "o_proj": (heads, hidden),
    }
    if not shape.num_experts:
        linear |= {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    sizes = [
        size for name, size in linear.items() if not numbers.lora_targets or name in numbers.lora_targets
    ]
    experts = [(hidden, 2 * inner), (inner, hidden)] * bool(numbers.lora_parameters)
    sizes += experts * shape.num_experts
    return numbers.lora_r * sum(map(sum, sizes)), sum(before * after for before, after in sizes)


def _of_all_weights(shape: Shape, on_gpu: bool) -> float:
    """What learning holds of weights that do: their gradients, a GPU's rounded copies, and the gradients of
    the embeddings, as input and as output, before they are added to those of the groups before."""
    of_each = _MASTER_BYTES + (_ROUNDED_BYTES if on_gpu else 0)
    return of_each * shape.parameters + 2 * shape.vocab_size * shape.hidden_size * _MASTER_BYTES


def _sampling(shape: Shape, rows: int, length: int, weight_bytes: int) -> float:
    """The cache, which has room for twice what was in it when it was full, and a row of logits each: as they
    are, as probabilities, and summed up."""
    at_once = max(1, min(rows, _SAMPLED_TOKENS // length))
    token = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * weight_bytes
    return 1.5 * at_once * length * token + 5 * at_once * shape.vocab_size * 4


def _learning(
    shape: Shape, tokens: int, row: int | None, *, kept_layers: int, layers: int, weight_bytes: int
) -> float:
    """Of one micro-batch: the completions of a prompt."""
    heads = shape.num_attention_heads * shape.head_dim
    kv = shape.num_key_value_heads * shape.head_dim
    inner = shape.intermediate_size * max(1, shape.num_experts_per_tok)
    # Norms in 32 bits and what enters each linear layer; queries and keys before and after their rotation;
    # gate, its activation, up, and their product.
    layer = tokens * weight_bytes * (10 * shape.hidden_size + 4 * heads + 5 * kv + 4 * inner)
    seen = tokens * (row or tokens)
    if row is None:
        attention = seen * (1 + weight_bytes)  # the tree's mask, as booleans and as numbers
    else:
        attention = 4 * seen * shape.num_attention_heads * weight_bytes  # eager: scores, and again as shares
    entering = layers * tokens * shape.hidden_size * weight_bytes
    head = 3 * min(tokens, _SCORED_ROWS) * shape.vocab_size * 4 + 3 * tokens * shape.hidden_size * 4
    kept = kept_layers * (layer + (attention if row else 0)) + (0 if row else attention)
    return kept + entering + head
