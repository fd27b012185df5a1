"""The machines that a job may train on, in the order in which SageMaker is asked for them."""

import json
from dataclasses import dataclass

from outcrop.base_models import BaseModel
from outcrop.settings import settings


@dataclass(frozen=True)
class Machine:
    instance_type: str
    is_spot: bool = False

    def __str__(self) -> str:
        return f"{self.instance_type} (spot)" if self.is_spot else self.instance_type


def suited_to(model: BaseModel) -> list[Machine]:
    """The deployment's list for the model, or its list for `*`, or the catalogue's. A deployment that trains
    on spot instances asks for every type as one before it asks for any on demand."""
    preferred: dict[str, list[str]] = json.loads(settings().instance_types)
    types = preferred.get(model.id) or preferred.get("*") or list(model.instance_types)
    on_demand = [Machine(one) for one in types]
    return [Machine(one, is_spot=True) for one in types] + on_demand if settings().on_spot else on_demand
