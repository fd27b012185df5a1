"""A deployment's judges: which model answers for the name that a grader's `model` has.

The setting `judges` is an object by name; a key that ends in `*` stands for all names that begin with what is
before it, and `default` for a `model_as_judge` grader that names no model. Only whoever deploys says where a
judge is: a request names one, and never a URL.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, model_validator

_BEDROCK_ID = re.compile(r"((?P<area>[a-z]{2}|apac|global|us-gov)\.)?[a-z][a-z0-9]+\.[a-z][\w.:-]*")
_BEDROCK_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:[a-z-]+/\S+")
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+")


def is_bedrock_id(name: str) -> bool:
    """`openai.gpt-oss-120b-1:0`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`; not `gpt-4.1-mini`."""
    return _BEDROCK_ID.fullmatch(name) is not None


def is_inference_profile(bedrock_model: str) -> bool:
    """Whether Bedrock runs the model in several Regions, by a profile that is named like the model."""
    match = _BEDROCK_ID.fullmatch(bedrock_model)
    return match is not None and match["area"] is not None


def _bedrock_model(model: str) -> str:
    if not is_bedrock_id(model) and not _BEDROCK_ARN.fullmatch(model):
        raise ValueError("should be a Bedrock model id, such as openai.gpt-oss-120b-1:0, or an ARN")
    return model


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("should be like https://api.openai.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("should hold no password; a key's place is a secret")
    return url.rstrip("/")


def _secret(arn: str) -> str:
    if not _SECRET_ARN.fullmatch(arn):
        raise ValueError("should be the ARN of a secret in Secrets Manager")
    return arn


class BedrockJudge(BaseModel):
    """A model of Amazon Bedrock in this account, asked by Converse."""

    model_config = {"frozen": True, "extra": "forbid"}

    provider: Literal["bedrock"]
    model: Annotated[str, AfterValidator(_bedrock_model)]
    """Model id, inference profile id, or ARN."""


class OpenAIJudge(BaseModel):
    """A model behind an OpenAI-compatible `chat/completions`."""

    model_config = {"frozen": True, "extra": "forbid"}

    provider: Literal["openai"]
    base_url: Annotated[str, AfterValidator(_base_url)]
    model: str = ""
    """As the server calls it; the grader's own name for it if empty."""
    secret: Annotated[str, AfterValidator(_secret)] | None = None
    """ARN of the secret in Secrets Manager whose text is the API key."""


JudgeModel = Annotated[BedrockJudge | OpenAIJudge, Field(discriminator="provider")]
Judges = dict[str, JudgeModel]

DEFAULT = "default"


class _Judges(BaseModel):
    judges: Judges

    @model_validator(mode="after")
    def _default_is_a_model(self) -> "_Judges":
        if DEFAULT in self.judges and not self.judges[DEFAULT].model:
            raise ValueError("default: needs a 'model', since its graders name none")
        return self


_JUDGES = TypeAdapter(_Judges)
_NO_PROVIDER = ("model_attributes_type", "union_tag_invalid", "union_tag_not_found")


def parse(setting: Any) -> Judges:
    """Raises: ValueError, in one line that names the judge at fault."""
    try:
        return _JUDGES.validate_python({"judges": setting}).judges
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        judge, field = first["loc"][1:2], first["loc"][3:]  # between them is pydantic's name for the provider
        place = ".".join(map(str, (*judge, *field)))
        reason = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        if first["type"] in _NO_PROVIDER:
            reason = "should be an object whose 'provider' is 'bedrock' or 'openai'"
        raise ValueError(": ".join(filter(None, (place, reason)))) from error


def find(judges: Judges, name: str) -> BedrockJudge | OpenAIJudge | None:
    """By its name, then by the longest beginning of it that is listed, then as a Bedrock model id."""
    beginnings = [key for key in judges if key.endswith("*") and name.startswith(key[:-1])]
    key = name if name in judges else max(beginnings, key=len, default=None)
    if key is not None:
        found = judges[key]
        return found if found.model else found.model_copy(update={"model": name})
    return BedrockJudge(provider="bedrock", model=name) if is_bedrock_id(name) else None
