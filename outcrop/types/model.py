"""The `model` object, and what serving needs to know about one."""

from typing import Literal

from pydantic import BaseModel


class Model(BaseModel):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str


class ModelDeleted(BaseModel):
    id: str
    object: Literal["model"] = "model"
    deleted: bool = True


class TunedModel(BaseModel):
    """A tuned model or a checkpoint: a base model and the adapter on top of it, or weights of its own."""

    id: str
    created: int
    base_model: str
    adapter_key: str | None = None
    """S3 prefix of the adapter (adapter_config.json, adapter_model.safetensors), ending in `/`."""
    weights_key: str | None = None
    """S3 prefix of the whole model, ending in `/`, where there is no adapter: all weights were trained."""
    merged_key: str | None = None
    """S3 prefix of the model as Bedrock imports it, ending in `/`, where the deployment wants it so."""
    job_id: str
    kind: Literal["model", "checkpoint"]

    @property
    def key(self) -> str:
        """S3 prefix of what was trained."""
        return self.adapter_key or self.weights_key or ""


class SharedModel(BaseModel):
    """That another project lets this one use a model of its own, under a permission."""

    id: str
    created: int
    """When the model was."""
    owner: str
    """The project that has the model."""
    permission_id: str
    permitted_at: int
    kind: Literal["shared"] = "shared"


class ServedModel(BaseModel):
    """What serving is asked for: a base model, and what was trained from it if there is something."""

    id: str
    base_model: str
    adapter_key: str | None = None
    weights_key: str | None = None
    merged_key: str | None = None
    job_id: str | None = None
    """Of the job that trained it."""


def as_served(model: TunedModel) -> ServedModel:
    return ServedModel(**model.model_dump(include={*ServedModel.model_fields}))
