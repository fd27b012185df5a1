"""The machines that a job may train on, in the order in which SageMaker is asked for them."""

import json
from dataclasses import dataclass

from outcrop.base_models import BaseModel
from outcrop.settings import settings


@dataclass(frozen=True)
class Machine:
    instance_type: str
    is_spot: bool = False
    count: int = 1
    """That train one job together."""

    def __str__(self) -> str:
        several = f"{self.count} x " if self.count > 1 else ""
        return f"{several}{self.instance_type}{' (spot)' if self.is_spot else ''}"


def suited_to(model: BaseModel) -> list[Machine]:
    """The deployment's list for the model, or its list for `*`, or the catalogue's. A deployment that trains
    on spot instances asks for every type as one before it asks for any on demand."""
    preferred: dict[str, list[str]] = json.loads(settings().instance_types)
    types = preferred.get(model.id) or preferred.get("*") or list(model.instance_types)
    count = instance_count(model.id)
    on_demand = [Machine(one, count=count) for one in types]
    spot = [Machine(one, is_spot=True, count=count) for one in types] if settings().on_spot else []
    return spot + on_demand


def volume_gb(model: BaseModel, *, is_full: bool) -> int:
    """Of a machine that trains: room for the weights in 32 bits, and as much again for checkpoints and
    caches. Where all weights learn (`is_full`), each of three resume states has 12 bytes of a parameter, and
    the model lies there as it came, as the sampler reads it, as it is published, and as it is left."""
    bytes_of_a_parameter = 50 if is_full else 8
    return 30 + bytes_of_a_parameter * model.parameters // 10**9


def instance_count(model: str) -> int:
    """How many machines of one kind train a job on the model together."""
    return json.loads(settings().instance_count).get(model, 1)
