"""Which GPUs a job fits into, before anything is paid for."""

from outcrop import accelerators, hyperparameters, memory, prices
from outcrop.base_models import BaseModel
from outcrop.errors import APIError
from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.memory import Peak
from outcrop.operations import machines
from outcrop.operations.machines import Machine
from outcrop.types.method import Method

_MANY_ROWS = 10**6
"""As many as make the largest batch: the file is not read yet."""
_PARAM = "method.reinforcement.hyperparameters"


def check(method: Method, model: BaseModel) -> None:
    """Raises: APIError, which names a machine that has the memory, if none of the deployment's has."""
    sizes = _sizes(machines.suited_to(model))
    numbers = _numbers(method, model)
    needed = _needed(numbers, model)
    if sizes is None or max(sizes.values(), default=0) >= needed.gb:
        return
    there_are = ", ".join(f"{name} with {size} GB" for name, size in sizes.items())
    enough = [name for name in prices.table()["training"] if _gb(name) >= needed.gb]
    cheapest = min(enough, key=lambda name: prices.hourly("training", name) or 0, default=None)
    instead = f"; it would fit on {cheapest} (`instance_types` in cdk.json)" if cheapest else ""
    adapter = " finetuning_type 'lora' takes far less." if numbers.learns_all_weights else ""
    raise APIError(
        f"{_PARAM}: this job needs about {needed} on one GPU, and the deployment trains {model.id} on "
        f"{there_are}{instead}. Or lower max_completion_length ({numbers.max_completion_length}) or "
        f"num_generations ({numbers.num_generations}).{adapter}",
        param=_PARAM,
        code="not_enough_memory",
    )


def machines_for(method: Method, model: BaseModel) -> list[Machine]:
    """Those suited to the model that hold the job as well, which may be larger than most on it; all of them
    if none does, as after another deployment."""
    suited = machines.suited_to(model)
    sizes, needed = _sizes(suited), _needed(_numbers(method, model), model)
    if sizes is None:
        return suited
    return [one for one in suited if sizes[one.instance_type] >= needed.gb] or suited


def _sizes(suited: list[Machine]) -> dict[str, int] | None:
    """Of a GPU, by instance type; None if some have no GPU, or one that nothing is known of."""
    known = {one.instance_type: accelerators.of(one.instance_type) for one in suited}
    sizes = {name: gpus.memory_gb for name, gpus in known.items() if gpus}
    return sizes if len(sizes) == len(known) else None


def _numbers(method: Method, model: BaseModel) -> TrainingHyperparameters:
    numbers = hyperparameters.resolve(method.reinforcement.hyperparameters, model, _MANY_ROWS)
    longest = min(numbers.max_completion_length, model.context_length)
    return numbers.model_copy(update={"max_completion_length": longest})


def _needed(numbers: TrainingHyperparameters, model: BaseModel) -> Peak:
    return memory.estimate(model.shape, numbers, prompt_tokens=0)


def _gb(instance_type: str) -> float:
    gpus = accelerators.of(instance_type)
    return gpus.memory_gb if gpus else 0
