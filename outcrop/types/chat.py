"""The request of `POST /chat/completions`, as far as it is supported. What is not is refused by
`operations.chat`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

_JSON = ConfigDict(strict=True, extra="ignore")


def _text(content: Any) -> Any:
    """A message's content as one string; clients may send a list of text parts."""
    if not isinstance(content, list):
        return content
    for part in content:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise PydanticCustomError(
                "content", 'should be a string or a list of {"type": "text", "text": "..."}'
            )
    return "".join(part["text"] for part in content)


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


class ChatMessage(BaseModel):
    model_config = _JSON

    role: Literal["developer", "system", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text)]


class StreamOptions(BaseModel):
    model_config = _JSON

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    model_config = _JSON

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    """The newer name of `max_tokens`; it wins where both are given."""
    n: Annotated[int, Field(ge=1, le=8)] | None = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None, Field(max_length=4), BeforeValidator(_listed)
    ] = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    reasoning_effort: str | None = None
    """Reaches the model server as it is; models that do not reason pay no attention to it."""

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens
