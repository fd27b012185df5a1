"""What a model server can do for us, and the one this deployment is configured with."""

from collections.abc import AsyncGenerator
from functools import cache
from typing import Any, Protocol

from outcrop.errors import UnavailableError
from outcrop.serving.openai_compatible import OpenAICompatible
from outcrop.settings import settings
from outcrop.types.model import ServedModel


class ModelServer(Protocol):
    """`request` is a chat completion request; its `model` does not count, `model` does.

    Both raise APIError for a request the server refuses and UnavailableError when it cannot answer now.
    """

    async def chat(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        """The whole answer, a `chat.completion`."""
        ...

    def stream(self, model: ServedModel, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """`chat.completion.chunk` objects in OpenAI's order. Closing the generator stops the model."""
        ...


@cache
def model_server() -> ModelServer:
    if not settings().serving_url:
        raise UnavailableError(
            "No model server is configured. Set `serving_url` in cdk.json to the base URL of an "
            "OpenAI-compatible server (OUTCROP_SERVING_URL of the inference function)."
        )
    return OpenAICompatible(settings().serving_url, settings().bucket)
