"""A model that can be trained: everything that API, trainer and servers have to know about it."""

from dataclasses import dataclass
from typing import Literal

Attention = Literal["sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3"]
"""How attention is computed, in transformers' words."""


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, named as its config.json names them: what its memory is worked out from."""

    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    """Of the feed-forward part; of one expert where there are several."""
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    tie_word_embeddings: bool = False
    num_experts: int = 0
    """0: no mixture of experts."""
    num_experts_per_tok: int = 0

    @property
    def parameters(self) -> int:
        """Of all matrices; norms and biases, a thousandth of them, are left out."""
        experts = max(1, self.num_experts)
        layer = self.attention_parameters + 3 * self.hidden_size * self.intermediate_size * experts
        router = self.hidden_size * self.num_experts
        vocabularies = 1 if self.tie_word_embeddings else 2
        return self.num_hidden_layers * (layer + router) + vocabularies * self.vocab_size * self.hidden_size

    @property
    def attention_parameters(self) -> int:
        """Of one layer."""
        heads = 2 * self.num_attention_heads + 2 * self.num_key_value_heads
        return self.hidden_size * self.head_dim * heads


@dataclass(frozen=True)
class Serving:
    """What it takes to serve a model and adapters on top of it by vLLM on SageMaker."""

    instance_types: tuple[str, ...]
    """Types that hold it, the preferred one first: at most five, with equally many GPUs."""
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    """vLLM's names for how the model writes tool calls and thoughts."""


@dataclass(frozen=True)
class BaseModel:
    id: str
    aliases: tuple[str, ...]
    """Other spellings clients use: Hugging Face's repository, Bedrock's id with its version."""
    architecture: str
    """The model's class, as its config.json names it."""
    shape: Shape
    parameters: int
    license: str
    context_length: int
    """Tokens of prompt and completion together."""
    min_gpu_memory_gb: int
    """GPU memory one training process needs; 0: a CPU is enough."""
    instance_types: tuple[str, ...]
    """SageMaker instance types that fit, cheapest first."""
    learning_rate: float
    """For LoRA, at `learning_rate_multiplier` 1; all weights learn at a twentieth of it."""
    batch_size: int
    num_generations: int
    max_completion_length: int
    lora_r: int
    lora_layers: int | None = None
    """LoRA on the last so many layers; all layers if None. Fewer layers make a CPU step shorter."""
    lora_targets: tuple[str, ...] = ()
    """Names of the linear layers that get LoRA; all linear layers of the decoder if empty."""
    lora_parameters: tuple[str, ...] = ()
    """Ends of the names of parameters outside linear layers that get LoRA, too: PEFT's `target_parameters`,
    by which it reaches the experts of a mixture (`mlp.experts.gate_up_proj`)."""
    attention: Attention = "sdpa"
    """How training computes attention. `sdpa` lets the completions of a prompt share its tokens."""
    reasoning: tuple[str, ...] = ()
    """Values of `reasoning_effort` that its chat template takes; empty: it does not look at it."""
    repository: str | None = None
    """Where the weights come from on Hugging Face; None: whoever offers the model puts them there."""
    revision: str | None = None
    """The commit of `repository` that is trained and served. Without a repository, a name for the weights as
    they are now: others want another one."""
    jumpstart: str | None = None
    """The model's name in SageMaker's public hub, which may have the same files closer by."""
    serving: Serving | None = None
    """None: SageMaker does not serve it, for there is no vLLM that knows it."""
    like: str | None = None
    """Of a deployment's own model: the catalogue's, from which it has what was not said of it."""

    def needs(self) -> str:
        """What it takes to train this model, in words."""
        if not self.min_gpu_memory_gb:
            return "a CPU with two cores"
        instances = " or ".join(self.instance_types)
        return f"one GPU with at least {self.min_gpu_memory_gb} GB of memory (on SageMaker: {instances})"
