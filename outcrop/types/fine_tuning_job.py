"""The `fine_tuning.job` object, and the request that makes one."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from outcrop.lifecycle import JobStatus
from outcrop.types.metadata import Metadata
from outcrop.types.method import Method


class JobError(BaseModel):
    code: str
    message: str
    param: str | None = None


class Bill(BaseModel):
    """What one SageMaker training job of a job cost."""

    training_job: str
    """Its name."""
    instance_type: str
    spot: bool
    billable_seconds: int
    """As SageMaker counts them: on spot instances, fewer than it took."""
    usd: float
    """At the prices of `outcrop/prices.json`; 0 for a machine that has none there."""


class FineTuningJob(BaseModel):
    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    error: JobError | None = None
    """Why the job failed; null unless it did."""
    fine_tuned_model: str | None = None
    """Set exactly when the status is `succeeded`."""
    finished_at: int | None = None
    hyperparameters: dict[str, Any] = {}
    """Always `{}` for reinforcement: they are in `method`. Clients in strict mode refuse null here."""
    model: str
    organization_id: str
    """The project the job belongs to."""
    result_files: list[str] = []
    seed: int
    status: JobStatus
    trained_tokens: int | None = None
    training_file: str
    validation_file: str | None = None
    estimated_finish: int | None = None
    metadata: dict[str, str] | None = None
    method: Method
    integrations: list[dict[str, Any]] = []
    """None is supported."""
    user_provided_suffix: str | None = None
    base_revision: str | None = None
    """Outcrop's: the commit of the base weights that all its attempts train; null for weights that have
    none."""
    pause_requested: bool | None = None
    """Outcrop's: a running job was asked to pause. It becomes `paused` when its trainer has saved a
    checkpoint and left."""
    attempt: int = 1
    """Outcrop's: how often training was prepared; more than 1 after a pause or an interruption."""
    interruptions: int = 0
    """Outcrop's: how many attempts ended because their machine failed."""
    started_attempt: int = 0
    """Outcrop's: the newest attempt whose workflow has begun its work. Less than `attempt` for a moment, or
    where the start of the workflow got lost."""
    training_job: str | None = None
    """Outcrop's: the name of its newest SageMaker training job."""
    budget_usd: float | None = None
    """Outcrop's: dollars that its training may cost over all attempts, before it is paused; null for no
    limit."""
    billed: list[Bill] = []
    """Outcrop's: what its training has cost, one entry for each training job that has ended."""
    end_told: Annotated[bool | None, Field(exclude=True)] = None
    """Whether the event of its end is out. Of the row alone: no answer shows it."""

    @property
    def is_started(self) -> bool:
        return self.started_attempt >= self.attempt

    @property
    def spent_usd(self) -> float:
        return sum(one.usd for one in self.billed)


class ResumeFineTuningJob(BaseModel):
    """What a client may send to resume a job; OpenAI's sends nothing."""

    budget_usd: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    """The new budget of the whole job, what was spent included."""


class CreateFineTuningJob(BaseModel):
    """What the client sends.

    `method` and `hyperparameters` are looked at by `operations.jobs`, which answers an unsupported method
    with what is supported instead of a schema error.
    """

    model: str
    training_file: Annotated[str, Field(min_length=1)]
    validation_file: Annotated[str, Field(min_length=1)] | None = None
    method: dict[str, Any] | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] | None = None
    metadata: Metadata | None = None
    integrations: list[dict[str, Any]] | None = None
    hyperparameters: dict[str, Any] | None = None
