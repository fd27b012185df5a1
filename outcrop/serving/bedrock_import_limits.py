"""What Amazon Bedrock does not import, known before a job has trained for hours.

As of November 2026:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-customization-import-model.html
"""

from outcrop.base_models import BaseModel
from outcrop.errors import APIError

QUOTA = "L-45B04988"
"""Imported models per account, in Service Quotas."""
USUAL_QUOTA = 3
"""Of an account that never asked for more."""

REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")
_ARCHITECTURES = {
    **dict.fromkeys(
        (
            "GPTBigCodeForCausalLM",
            "LlamaForCausalLM",
            "MistralForCausalLM",
            "MixtralForCausalLM",
            "Qwen2ForCausalLM",
            "Qwen3ForCausalLM",
            "Qwen3MoeForCausalLM",
        ),
        REGIONS,
    ),
    "GptOssForCausalLM": ("us-east-1",),
}
_LARGEST_GB = 200
_LONGEST_CONTEXT = 131_072
_BYTES_OF_A_PARAMETER = 2  # merged weights are bfloat16
_INSTEAD = "Set `serving` in cdk.json to sagemaker to train and serve it here."


def check(model: BaseModel, region: str) -> None:
    """Raises: APIError for a model whose tuned versions cannot be imported in that Region."""
    regions = _ARCHITECTURES.get(model.architecture)
    size = model.parameters * _BYTES_OF_A_PARAMETER / 10**9
    problem = None
    if regions is None:
        problem = f"it imports no {model.architecture}"
    elif region not in regions:
        problem = f"it imports a {model.architecture} in {', '.join(regions)} only, and this is {region}"
    elif size >= _LARGEST_GB:
        problem = f"it imports less than {_LARGEST_GB} GB, and merged weights would have {size:.0f} GB"
    elif model.context_length > _LONGEST_CONTEXT:
        problem = (
            f"it imports contexts of up to {_LONGEST_CONTEXT} tokens, and this has {model.context_length}"
        )
    if problem:
        raise APIError(
            f"The model '{model.id}' could be trained, but Amazon Bedrock would not import the result, as "
            f"this deployment's `serving` wants it: {problem}. {_INSTEAD}",
            param="model",
            code="model_not_importable",
        )


def check_room(imported: int, quota: int) -> None:
    """Raises: APIError when the account can take no imported model more."""
    if imported >= quota:
        raise APIError(
            f"This account has {imported} imported models in Amazon Bedrock, and may have {quota} (quota "
            f"{QUOTA} of the service bedrock): the tuned model would have no place. Delete one (DELETE "
            "/models/...), or ask for more in Service Quotas.",
            code="import_quota_reached",
        )
