"""The models that can be trained, and what each one needs.

A deployment offers some of them (`Settings.base_models`). The rest stay in this catalogue so that asking
for one gets an answer that says what it would take.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.errors import NotFoundError


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
    parameters: int
    license: str
    context_length: int
    """Tokens of prompt and completion together."""
    min_gpu_memory_gb: int
    """GPU memory one training process needs; 0: a CPU is enough."""
    instance_types: tuple[str, ...]
    """SageMaker instance types that fit, cheapest first."""
    learning_rate: float
    """For LoRA, at `learning_rate_multiplier` 1."""
    batch_size: int
    num_generations: int
    max_completion_length: int
    lora_r: int
    lora_layers: int | None = None
    """LoRA on the last so many layers; all layers if None. Fewer layers make a CPU step shorter."""
    repository: str | None = None
    """Where the weights come from on Hugging Face; None: whoever offers the model puts them there."""
    revision: str | None = None
    """The commit of `repository` that is trained and served."""
    jumpstart: str | None = None
    """The model's name in SageMaker's public hub, which may have the same files closer by."""
    serving: Serving | None = None
    """None: SageMaker does not serve it, for there is no vLLM that knows it."""

    def needs(self) -> str:
        """What it takes to train this model, in words."""
        if not self.min_gpu_memory_gb:
            return "a CPU with two cores"
        instances = " or ".join(self.instance_types)
        return f"one GPU with at least {self.min_gpu_memory_gb} GB of memory (on SageMaker: {instances})"


CATALOGUE: tuple[BaseModel, ...] = (
    BaseModel(
        id="openai.gpt-oss-20b",
        aliases=("openai/gpt-oss-20b", "gpt-oss-20b", "openai.gpt-oss-20b-1:0"),
        architecture="GptOssForCausalLM",
        parameters=20_900_000_000,
        license="Apache-2.0",
        context_length=131_072,
        min_gpu_memory_gb=80,
        instance_types=("ml.p5.4xlarge", "ml.p5en.48xlarge"),
        learning_rate=1e-5,
        batch_size=16,
        num_generations=8,
        max_completion_length=2048,
        lora_r=32,
        repository="openai/gpt-oss-20b",
        revision="6cee5e81ee83917806bbde320786a8fb61efebee",
        jumpstart="openai-reasoning-gpt-oss-20b",
        serving=Serving(
            instance_types=("ml.g6e.2xlarge", "ml.g6e.4xlarge", "ml.g7e.2xlarge", "ml.p5.4xlarge"),
            tool_call_parser="openai",
            reasoning_parser="openai_gptoss",
        ),
    ),
    BaseModel(
        id="qwen.qwen3-32b",
        aliases=("Qwen/Qwen3-32B", "qwen3-32b", "qwen.qwen3-32b-v1:0"),
        architecture="Qwen3ForCausalLM",
        parameters=32_800_000_000,
        license="Apache-2.0",
        context_length=32_768,
        min_gpu_memory_gb=141,
        instance_types=("ml.p5en.48xlarge",),
        learning_rate=1e-5,
        batch_size=16,
        num_generations=8,
        max_completion_length=2048,
        lora_r=32,
        repository="Qwen/Qwen3-32B",
        revision="9216db5781bf21249d130ec9da846c4624c16137",
        jumpstart="huggingface-reasoning-qwen3-32b",
        serving=Serving(
            instance_types=("ml.g7e.2xlarge", "ml.g7e.4xlarge", "ml.g7e.8xlarge"),
            tool_call_parser="hermes",
            reasoning_parser="qwen3",
        ),
    ),
    BaseModel(
        id="smollm2-135m-instruct",
        aliases=("HuggingFaceTB/SmolLM2-135M-Instruct",),
        architecture="LlamaForCausalLM",
        parameters=134_515_008,
        license="Apache-2.0",
        context_length=2048,
        min_gpu_memory_gb=0,
        instance_types=("ml.g5.xlarge",),
        learning_rate=1e-3,
        batch_size=4,
        num_generations=8,
        max_completion_length=48,
        lora_r=16,
        lora_layers=12,
        repository="HuggingFaceTB/SmolLM2-135M-Instruct",
        revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        serving=Serving(instance_types=("ml.g6.xlarge", "ml.g5.xlarge")),
    ),
    BaseModel(
        id="tiny-caps",
        aliases=(),
        architecture="LlamaForCausalLM",
        parameters=439_424,
        license="Apache-2.0",
        context_length=256,
        min_gpu_memory_gb=0,
        instance_types=("ml.m5.large",),
        learning_rate=2e-3,
        batch_size=8,
        num_generations=8,
        max_completion_length=20,
        lora_r=16,
    ),
)


def find(model: str) -> BaseModel | None:
    """The catalogue's entry for an id or an alias, in any case of letters."""
    wanted = model.lower()
    for entry in CATALOGUE:
        if wanted in (entry.id, *(alias.lower() for alias in entry.aliases)):
            return entry
    return None


def offered(model: str, available: Sequence[str], *, param: str = "model") -> BaseModel:
    """The entry for `model`.

    Raises: NotFoundError, which says what is offered here and what an absent model needs.
    """
    entry = find(model)
    if entry is not None and entry.id in available:
        return entry
    offer = ", ".join(available)
    if entry is None:
        raise NotFoundError(
            f"The model '{model}' does not exist. Models that can be fine-tuned here: {offer}.",
            param=param,
            code="model_not_found",
        )
    raise NotFoundError(
        f"The model '{entry.id}' is not offered by this deployment: it needs {entry.needs()}. "
        f"Models that can be fine-tuned here: {offer}.",
        param=param,
        code="model_not_available",
    )
