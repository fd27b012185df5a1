"""What a machine costs by the hour: the table in prices.json, which says when and where it was read.

On-demand prices of one Region, in dollars. They are for limits and estimates; AWS's bill is the truth.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["training", "hosting"]


@cache
def table() -> dict[str, Any]:
    """`as_of`, `region`, `source`, what is `unverified`, and dollars an hour by kind and instance type."""
    return json.loads(Path(__file__).with_name("prices.json").read_text())


def hourly(kind: Kind, instance_type: str) -> float | None:
    """Dollars an hour of one instance; None for a type that is not in the table."""
    return table()[kind].get(instance_type)


def service(name: str) -> float:
    """Dollars for one of what the table calls `name` under `services`."""
    return table()["services"][name]
