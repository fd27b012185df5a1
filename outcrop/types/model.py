"""The `model` object, and what serving needs to know about one."""

from typing import Literal

from pydantic import BaseModel


class Model(BaseModel):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str


class TunedModel(BaseModel):
    """A tuned model or a checkpoint: a base model and the adapter on top of it."""

    id: str
    created: int
    base_model: str
    adapter_key: str
    """S3 prefix of the adapter (adapter_config.json, adapter_model.safetensors), ending in `/`."""
    job_id: str
    kind: Literal["model", "checkpoint"]


class ServedModel(BaseModel):
    """What serving is asked for: a base model, and the adapter on top of it if there is one."""

    id: str
    base_model: str
    adapter_key: str | None = None
