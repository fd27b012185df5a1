"""The models of succeeded jobs as Amazon Bedrock's imported models: no machine of one's own that could idle.

Bedrock takes a model in one piece, so its merged weights are imported, and neither base models nor
checkpoints answer here. It puts away what nobody asks for, and whoever asks then waits for it as for a
SageMaker endpoint that sleeps: as long as a stream may last, or as a silent connection is left open.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from outcrop.errors import APIError, UnavailableError
from outcrop.serving import bedrock_import_models
from outcrop.serving.bedrock_import_invoke import Answer, AsleepError, GoneError, invoke
from outcrop.serving.clock import Clock
from outcrop.serving.dialect import spoken
from outcrop.serving.streaming import RETRY_AFTER_SECONDS, Streaming
from outcrop.serving.streams import STREAMED, Chunks, shaped
from outcrop.serving.threads import Threads
from outcrop.types.model import ServedModel

_POLL_SECONDS = 10
"""How often one who waits asks, or looks at an import."""


class BedrockImport(Streaming):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = Threads("bedrock")
        self._arns: dict[str, str] = {}
        """Of imported models that have been found, by their jobs."""

    async def close(self) -> None:
        self._threads.close()

    async def _stream(
        self, path: str, model: ServedModel, request: dict[str, Any], chunks: Chunks, patience: float
    ) -> AsyncGenerator[dict[str, Any]]:
        job_id = _importable(model)
        body = orjson.dumps(_said(model, request) | STREAMED)
        async with self._answer(path, model, job_id, body, patience) as answer:
            async for chunk in shaped(self._pieces(answer), chunks):
                yield chunk

    @asynccontextmanager
    async def _answer(
        self, path: str, model: ServedModel, job_id: str, body: bytes, patience: float
    ) -> AsyncIterator[Answer]:
        give_up_at = self._clock.now() + patience
        while True:
            arn = self._arns.get(job_id) or await self._found(model, job_id, give_up_at)
            try:
                answer = await self._threads.run(
                    lambda arn=arn: invoke(arn, body, path), undo=lambda late: late.close()
                )
                break
            except AsleepError:
                await self._wait(give_up_at, "Amazon Bedrock is fetching it: nobody asked for it lately.")
            except GoneError:
                self._arns.pop(job_id, None)
                await self._wait(give_up_at, "Amazon Bedrock does not know it yet.")
        try:
            yield answer
        finally:
            answer.close()

    async def _found(self, model: ServedModel, job_id: str, give_up_at: float) -> str:
        """The imported model's ARN, when it is there. Raises: UnavailableError when its import has failed, or
        takes too long."""
        while True:
            now = self._clock.now()
            sight = await self._threads.run(lambda now=now: bedrock_import_models.look(model, now))
            if sight.state == "ready":
                self._arns[job_id] = sight.arn
                return sight.arn
            if sight.state == "failed":
                raise UnavailableError(sight.message, should_retry=sight.should_retry)
            await self._wait(give_up_at, sight.message)

    async def _wait(self, give_up_at: float, why: str) -> None:
        if self._clock.now() + _POLL_SECONDS > give_up_at:
            raise UnavailableError(f"The model is not ready: {why}", retry_after_seconds=RETRY_AFTER_SECONDS)
        await self._clock.sleep(_POLL_SECONDS)

    async def _pieces(self, answer: Answer) -> AsyncIterator[bytes]:
        pieces = answer.pieces()
        while (piece := await self._threads.run(lambda: next(pieces, None))) is not None:
            yield piece


def _importable(model: ServedModel) -> str:
    """The job whose model it is. Raises: APIError for what is not served this way."""
    if model.job_id is None:
        what = "is a base model"
    elif model.merged_key is None:
        what = "has no merged weights: checkpoints have none, nor have models trained for other serving"
    else:
        return model.job_id
    raise APIError(
        f"The model '{model.id}' {what}. This deployment serves by Amazon Bedrock's import (`serving` is "
        "bedrock_import in cdk.json), which takes the models of succeeded jobs only; with sagemaker, base "
        "models and checkpoints answer too.",
        param="model",
        code="model_not_served",
    )


def _said(model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
    """What the imported model is asked: it is named by its ARN, and knows the older name of the longest
    answer only."""
    said = {name: value for name, value in spoken(model, request).items() if name != "model"}
    if "max_completion_tokens" in said:
        said["max_tokens"] = said.pop("max_completion_tokens")
    return said
