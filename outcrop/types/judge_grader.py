"""Definitions of the graders that ask a model: OpenAI's `score_model` and `label_model`, the announcement's
`model_as_judge`.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class InputText(BaseModel):
    """A part of a message to a judge."""

    type: Literal["input_text", "output_text"]
    text: str


def _is_text(part: Any) -> bool:
    return isinstance(part, str | InputText) or (
        isinstance(part, dict)
        and part.get("type") in ("input_text", "output_text")
        and isinstance(part.get("text"), str)
    )


def _texts(content: Any) -> Any:
    """`content` if it is what `JudgeMessage.content` takes; without this check, pydantic would tell what is
    wrong with it once for each form."""
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("input_image", "input_audio", "image_url"):
            raise PydanticCustomError(
                "not_text", "'{kind}' is not supported: judges are asked in text alone here", {"kind": kind}
            )
        if not _is_text(part):
            raise PydanticCustomError(
                "not_text", 'should be a text, or parts of text such as {"type": "input_text", "text": "..."}'
            )
    return content


class JudgeMessage(BaseModel):
    """A message to a judge. Its text may hold variables."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str | InputText | list[str | InputText], BeforeValidator(_texts)]
    type: Literal["message"] = "message"

    @property
    def text(self) -> str:
        parts = self.content if isinstance(self.content, list) else [self.content]
        return "\n".join(part if isinstance(part, str) else part.text for part in parts)


class SamplingParams(BaseModel):
    """How a judge answers; what is not set is up to the judge. The names are OpenAI's for graders."""

    model_config = {"extra": "forbid"}

    seed: int | None = None
    """Bedrock takes none."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_completions_tokens: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        validation_alias=AliasChoices("max_completions_tokens", "max_completion_tokens", "max_tokens"),
    )
    """Spelled like this by OpenAI's schema; published graders have the other two as well."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


JudgeMessages = Annotated[list[JudgeMessage], Field(min_length=1)]


def _low_and_high(range: Any) -> Any:
    """Pydantic would take True and NaN for numbers."""
    numbers = range if isinstance(range, list) else []
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers) or len(numbers) != 2:
        raise PydanticCustomError("range", "should be two numbers, such as [0, 1]")
    if not -math.inf < numbers[0] < numbers[1] < math.inf:
        raise PydanticCustomError("range", "should go from a lower number to a higher one")
    return range


Range = Annotated[list[float], BeforeValidator(_low_and_high)]


class ScoreModelGrader(BaseModel):
    """A judge model's number from `range[0]` to `range[1]`; beyond them, the nearer of the two."""

    type: Literal["score_model"]
    name: str = "score_model"
    input: JudgeMessages
    model: Annotated[str, Field(min_length=1)]
    range: Range = Field(default_factory=lambda: [0.0, 1.0])
    sampling_params: SamplingParams = Field(default_factory=SamplingParams)
    pass_threshold: float | None = None
    """Of evals, which count passes by it. A reward is the number itself, whatever this says."""


class LabelModelGrader(BaseModel):
    """1.0 if a judge model gives the input one of `passing_labels`, else 0.0."""

    type: Literal["label_model"]
    name: str = "label_model"
    input: JudgeMessages
    model: Annotated[str, Field(min_length=1)]
    labels: Annotated[list[str], Field(min_length=1)]
    passing_labels: Annotated[list[str], Field(min_length=1)]

    @field_validator("passing_labels")
    @classmethod
    def _are_labels(cls, passing: list[str], info: ValidationInfo) -> list[str]:
        labels = info.data.get("labels", passing)
        for label in passing:
            if label not in labels:
                raise PydanticCustomError("no_label", "'{label}' is not one of the labels", {"label": label})
        return passing


class ModelAsJudgeGrader(BaseModel):
    """The announcement's form: a judge model's number from 0.0 to 1.0, by your instructions. What the judge
    reads besides them is the row's conversation, its `reference_answer` if it has one, and the response.
    """

    type: Literal["model_as_judge"]
    name: str = "model_as_judge"
    instructions: Annotated[str, Field(min_length=1)]
    """May hold variables."""
    model: Annotated[str, Field(min_length=1)] | None = None
    """The deployment's judge `default` if there is none."""
