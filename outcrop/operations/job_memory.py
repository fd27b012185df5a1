"""Whether a job fits into the GPUs that it would be trained on, before anything is paid for."""

from outcrop import accelerators, hyperparameters, memory, prices
from outcrop.base_models import BaseModel
from outcrop.errors import APIError
from outcrop.operations import machines
from outcrop.types.method import Method

_MANY_ROWS = 10**6
"""As many as make the largest batch: the file is not read yet."""
_PARAM = "method.reinforcement.hyperparameters"


def check(method: Method, model: BaseModel) -> None:
    """Raises: APIError, which names a machine that has the memory, if none of the deployment's has."""
    known = {one.instance_type: accelerators.of(one.instance_type) for one in machines.suited_to(model)}
    sizes = {name: gpus.memory_gb for name, gpus in known.items() if gpus}
    if len(sizes) < len(known):  # some have no GPU, or one that nothing is known of
        return
    numbers = hyperparameters.resolve(method.reinforcement.hyperparameters, model, _MANY_ROWS)
    longest = min(numbers.max_completion_length, model.context_length)
    needed = memory.estimate(
        model.shape, numbers.model_copy(update={"max_completion_length": longest}), prompt_tokens=0
    )
    if max(sizes.values(), default=0) >= needed.gb:
        return
    there_are = ", ".join(f"{name} with {size} GB" for name, size in sizes.items())
    enough = [name for name in prices.table()["training"] if _gb(name) >= needed.gb]
    cheapest = min(enough, key=lambda name: prices.hourly("training", name) or 0, default=None)
    instead = f"; it would fit on {cheapest} (`instance_types` in cdk.json)" if cheapest else ""
    raise APIError(
        f"{_PARAM}: this job needs about {needed} on one GPU, and the deployment trains {model.id} on "
        f"{there_are}{instead}. Or lower max_completion_length ({longest}) or num_generations "
        f"({numbers.num_generations}).",
        param=_PARAM,
        code="not_enough_memory",
    )


def _gb(instance_type: str) -> float:
    gpus = accelerators.of(instance_type)
    return gpus.memory_gb if gpus else 0
