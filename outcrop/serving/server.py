"""What a model server can do for us, and the one this deployment is configured with."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Protocol

from outcrop.errors import UnavailableError
from outcrop.serving.bedrock_import import BedrockImport
from outcrop.serving.clock import Clock
from outcrop.serving.openai_compatible import OpenAICompatible
from outcrop.serving.sagemaker import SageMaker
from outcrop.settings import settings
from outcrop.types.model import ServedModel

CLOCK = Clock()
"""By which models are waited for."""


class ModelServer(Protocol):
    """`request` is a chat completion request, or a completion request; its `model` does not count, `model`
    does. Answers have OpenAI's exact shape but no head: `id`, `created` and `model` are the caller's to set.

    All raise APIError for a request the server refuses and UnavailableError when it cannot answer now.
    """

    async def chat(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        """`choices` and `usage` of a `chat.completion`."""
        ...

    def stream(self, model: ServedModel, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """`choices` of `chat.completion.chunk` objects in OpenAI's order; the last has none, and the `usage`.
        Closing the generator stops the model."""
        ...

    async def complete(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        """`choices` and `usage` of a `text_completion`."""
        ...

    def stream_completion(
        self, model: ServedModel, request: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        """As `stream`, of `text_completion` objects."""
        ...

    async def close(self) -> None: ...


@cache
def model_server() -> ModelServer:
    """The one of this process's event loop: its connections belong to the loop that opened them."""
    return _connected()


@asynccontextmanager
async def own_model_server() -> AsyncIterator[ModelServer]:
    """One for an event loop that does not last as long as the process."""
    server = _connected()
    try:
        yield server
    finally:
        await server.close()


def _connected() -> ModelServer:
    if settings().serving == "sagemaker":
        return SageMaker(settings(), CLOCK)
    if settings().serving == "bedrock_import":
        return BedrockImport(CLOCK)
    if not settings().serving_url:
        raise UnavailableError(
            "No model server is configured. Set `serving_url` in cdk.json to the base URL of an "
            "OpenAI-compatible server (OUTCROP_SERVING_URL of the inference function)."
        )
    return OpenAICompatible(settings().serving_url, settings().bucket)
