"""Grader definitions as clients send them: OpenAI's, Bedrock's `lambda`, the announcement's `custom_code`.

Loose clients read any grader's `name`, so one is filled in where it is absent.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class StringCheckGrader(BaseModel):
    """1.0 if `input` compares to `reference` as `operation` says, else 0.0. `like`: input contains it."""

    type: Literal["string_check"]
    name: str = "string_check"
    input: str
    reference: str
    operation: Literal["eq", "ne", "neq", "like", "ilike"]


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


Grader = Annotated[StringCheckGrader | LambdaGrader | CustomCodeGrader, Field(discriminator="type")]
