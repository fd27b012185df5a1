"""Grader definitions as clients send them: OpenAI's, Bedrock's `lambda`, the announcement's `custom_code`.

The union `Grader` is the one list of what is supported. Loose clients read any grader's `name`, so one is
filled in where it is absent.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, ScoreModelGrader


def _as_in_the_schema(operation: Any) -> Any:
    """OpenAI's schema says `ne`, its guide `neq`."""
    return "ne" if operation == "neq" else operation


class StringCheckGrader(BaseModel):
    """1.0 if `input` compares to `reference` as `operation` says, else 0.0. `like`: input contains it."""

    type: Literal["string_check"]
    name: str = "string_check"
    input: str
    reference: str
    operation: Annotated[Literal["eq", "ne", "like", "ilike"], BeforeValidator(_as_in_the_schema)]


TextMetric = Literal[
    "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
]


def _computable(metric: Any) -> Any:
    if metric == "cosine":
        raise PydanticCustomError(
            "refused_metric",
            "'cosine' is not supported: it compares embeddings; OpenAI has it for evals alone and refuses it "
            "in fine-tuning; {supported} are",
            {"supported": ", ".join(get_args(TextMetric))},
        )
    return metric


class TextSimilarityGrader(BaseModel):
    """How alike `input` and `reference` are, from 0.0 to 1.0."""

    type: Literal["text_similarity"]
    name: str = "text_similarity"
    input: str
    reference: str
    evaluation_metric: Annotated[TextMetric, BeforeValidator(_computable)]


class LambdaTarget(BaseModel):
    function: str
    """ARN of the grader function."""


class LambdaGrader(BaseModel):
    """Bedrock's form: `{"type": "lambda", "lambda": {"function": ARN}}`. Spoken to in batches."""

    model_config = {"populate_by_name": True, "serialize_by_alias": True}

    type: Literal["lambda"]
    name: str = "lambda"
    lambda_: LambdaTarget = Field(alias="lambda")

    @property
    def function(self) -> str:
        return self.lambda_.function


class CustomCodeGrader(BaseModel):
    """The announcement's form: `{"type": "custom_code", "lambda_arn": ARN}`. Spoken to singly."""

    type: Literal["custom_code"]
    name: str = "custom_code"
    lambda_arn: str

    @property
    def function(self) -> str:
        return self.lambda_arn


class PythonGrader(BaseModel):
    """What the function `grade(sample, item)` of `source` returns. It runs in Outcrop's sandbox."""

    type: Literal["python"]
    name: str = "python"
    source: str
    image_tag: str | None = None
    """Of OpenAI's image, such as `2025-05-08`. There is one sandbox here, so any tag means that one."""


_Part = (
    StringCheckGrader
    | TextSimilarityGrader
    | ScoreModelGrader
    | LabelModelGrader
    | ModelAsJudgeGrader
    | PythonGrader
    | LambdaGrader
    | CustomCodeGrader
)
PartGrader = Annotated[_Part, Field(discriminator="type")]

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]


def _named(graders: Any) -> Any:
    """The typed SDK takes one grader where the API means several, each under a name."""
    if isinstance(graders, dict) and isinstance(graders.get("type"), str):
        raise PydanticCustomError(
            "one_grader", 'should be an object of graders by name, such as {"exact": {"type": ...}}'
        )
    return graders


class MultiGrader(BaseModel):
    """Several graders, and the formula that makes one reward of theirs. Its variables are their keys."""

    type: Literal["multi"]
    name: str = "multi"
    graders: Annotated[
        dict[Variable, PartGrader], Field(min_length=1, max_length=32), BeforeValidator(_named)
    ]
    calculate_output: str


Grader = Annotated[_Part | MultiGrader, Field(discriminator="type")]
