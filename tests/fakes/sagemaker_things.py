"""Endpoints and inference components: what they are made of, and how long they take to come, wake and go."""

from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        self.parsed = {"Error": {"Code": code, "Message": message}, **fields}
        self.status = status


@dataclass
class Seconds:
    """How long things take."""

    endpoint: float = 240
    component: float = 360
    wake: float = 420
    adapter: float = 15
    delete_component: float = 20
    delete_endpoint: float = 60
    no_capacity: float = 1200
    """Until SageMaker says that it has none."""


@dataclass
class Endpoint:
    name: str
    config: str
    types: list[str]
    made_at: float
    seconds: float
    failure: str = ""
    deleted_at: float | None = None


@dataclass
class Component:
    name: str
    endpoint: str
    base: str
    made_at: float
    seconds: float
    artifact: str = ""
    failure: str = ""
    desired: int = 1
    changed_at: float | None = None
    """When the number of copies was asked to change."""
    current: int = 0
    used_at: float = 0
    deleted_at: float | None = None
