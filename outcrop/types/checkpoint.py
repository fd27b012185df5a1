"""The `fine_tuning.job.checkpoint` object: a model saved on the way, which answers like any other."""

from typing import Literal

from pydantic import BaseModel


class FineTuningJobCheckpoint(BaseModel):
    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, float]
    """`step`, `train_reward_mean`, `valid_reward_mean`, ...: numbers only, those that were measured."""
