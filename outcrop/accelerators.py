"""The GPUs of SageMaker's instance types: how many, and how much memory each has, as AWS says."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Gpus:
    count: int
    memory_gb: int
    """Of each, in the round numbers of the card's name."""


_MEMORY_GB = {
    "g4dn": 16,
    "g5": 24,
    "g6": 24,
    "g6e": 48,
    "g7e": 96,
    "p3": 16,
    "p4d": 40,
    "p4de": 80,
    "p5": 80,
    "p5e": 141,
    "p5en": 141,
    "p6-b200": 179,
    "p6-b300": 268,
}
_SEVERAL = (
    (r"(g4dn|g5|g6|g6e)\.12xlarge|(g5|g6|g6e|g7e)\.24xlarge|p3\.8xlarge", 4),
    (r"g7e\.12xlarge", 2),
    (r"(g5|g6|g6e|g7e|p5|p5e|p5en|p6-b200|p6-b300)\.48xlarge|(p4d|p4de)\.24xlarge|p3\.16xlarge", 8),
)
"""Sizes with more than one GPU, the first pattern that fits."""


def of(instance_type: str) -> Gpus | None:
    """None for a type without GPUs, or one that this table does not know."""
    name = instance_type.removeprefix("ml.")
    memory = _MEMORY_GB.get(name.partition(".")[0])
    if memory is None:
        return None
    return Gpus(next((count for sizes, count in _SEVERAL if re.fullmatch(sizes, name)), 1), memory)
