"""All that the API and the trainer tell each other: `TrainingSpec` goes in, `TrainingResult` comes out.

`prepare_training` writes the spec to S3 as the `config` channel; the trainer writes the result beside it.
Nothing else crosses: the trainer reads no request, the workflow reads no trainer log.
"""

from typing import Any

from pydantic import BaseModel

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.types.grader import Grader
from outcrop.types.judge import Judges

GRADER_FAILING = "grader_failing"
"""The error code of a job whose grader gave too few rewards; a failure reason that begins with it says so."""


class TrainingSpec(BaseModel):
    model_config = {"frozen": True}

    project: str
    job_id: str
    attempt: int
    base_model: str
    """Catalogue id; its weights are in the channel `model`."""
    fine_tuned_model: str
    """The id the tuned model will have; a checkpoint's is the same + `:ckpt-step-{n}`."""
    grader: Grader
    judges: Judges = {}
    """The deployment's, for a grader that asks one."""
    hyperparameters: TrainingHyperparameters
    seed: int
    response_format: dict[str, Any] | None = None
    """The form that completions are held to: OpenAI's `response_format`."""
    merge: bool = False
    """Whether the model is wanted as Amazon Bedrock imports it, too: in one piece, the adapter in its
    weights."""


class TrainingResult(BaseModel):
    model_config = {"frozen": True}

    step: int
    """The step whose policy becomes the model: the best by validation reward, else the last."""
    adapter_key: str | None = None
    """S3 prefix of its adapter, ending in `/`."""
    weights_key: str | None = None
    """S3 prefix of its weights, ending in `/`, if there is no adapter."""
    merged_key: str | None = None
    """S3 prefix of the merged model, ending in `/`, if the spec asked for it and it could be made."""
    trained_tokens: int
    """Completion tokens the policy learned from."""
    metrics: dict[str, float]
    """`valid_reward_base`, `valid_reward_tuned`, `train_reward_last`, ...: those that were measured."""
