"""The models that can be trained, and what each one needs.

A deployment offers some of them (`Settings.base_models`). The rest stay in this catalogue so that asking
for one gets an answer that says what it would take.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.errors import NotFoundError


@dataclass(frozen=True)
class BaseModel:
    id: str
    aliases: tuple[str, ...]
    """Other spellings clients use: Hugging Face's repository, Bedrock's id with its version."""
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
    ),
    BaseModel(
        id="qwen.qwen3-32b",
        aliases=("Qwen/Qwen3-32B", "qwen3-32b", "qwen.qwen3-32b-v1:0"),
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
    ),
    BaseModel(
        id="smollm2-135m-instruct",
        aliases=("HuggingFaceTB/SmolLM2-135M-Instruct",),
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
    ),
    BaseModel(
        id="tiny-caps",
        aliases=(),
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
