"""The models that the cdk.json of this folder adds to the catalogue: for commands that ask no deployment."""

import json
from pathlib import Path

from outcrop import base_models, own_models
from outcrop.base_models import BaseModel

_FILE = Path("cdk.json")


def models() -> list[BaseModel]:
    """The catalogue's and those. Raises: ValueError for one that is wrong."""
    said = json.loads(_FILE.read_text()).get("context", {}).get("models", []) if _FILE.exists() else []
    known = [*base_models.known()]
    for one in said if isinstance(said, list) else ():
        if isinstance(one, dict) and one.get("id") not in [model.id for model in known]:
            try:
                known.append(own_models.read(one))
            except ValueError as error:
                raise ValueError(f"{_FILE}: models: {error}") from error
    return known
