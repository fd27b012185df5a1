"""The models on SageMaker endpoints that sleep when nobody asks.

Whoever asks for one that sleeps wakes it, and waits: as long as a stream may last, whose reader gets a sign
of life every few seconds, or as long as a silent connection is left open. Then a 503 says when to ask again,
and the SDK does so by itself, twice. All who wait share one look at SageMaker every few seconds.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from outcrop import base_models
from outcrop.errors import APIError, NotFoundError, UnavailableError
from outcrop.serving import sagemaker_adapters, sagemaker_endpoint
from outcrop.serving.clock import Clock
from outcrop.serving.dialect import spoken
from outcrop.serving.sagemaker_invoke import AdapterLostError, Answer, AsleepError, invoke
from outcrop.serving.sagemaker_plan import Plan, component_of_adapter, plan
from outcrop.serving.streaming import RETRY_AFTER_SECONDS, Streaming
from outcrop.serving.streams import STREAMED, Chunks, shaped
from outcrop.serving.threads import Threads
from outcrop.settings import Settings
from outcrop.stores.serving import USED_EVERY_SECONDS, ServingStore, Sight
from outcrop.types.model import ServedModel

LOOK_SECONDS = 6
"""How often SageMaker is looked at, however many wait, and how often each of them wants to know."""


class SageMaker(Streaming):
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._threads = Threads("sagemaker")
        self._noted: dict[str, float] = {}
        """When this process last noted that a thing is in use."""

    async def close(self) -> None:
        self._threads.close()

    async def _stream(
        self, path: str, model: ServedModel, request: dict[str, Any], chunks: Chunks, patience: float
    ) -> AsyncGenerator[dict[str, Any]]:
        # SageMaker's header says which model is asked; one in the body would only contradict it.
        said = {name: value for name, value in spoken(model, request).items() if name != "model"}
        body = orjson.dumps(said | STREAMED)
        if model.adapter_key:
            chunks = _NotOf(model.base_model, chunks)
        async with self._answer(path, model, body, patience) as answer:
            async for chunk in shaped(self._pieces(answer), chunks):
                yield chunk

    @asynccontextmanager
    async def _answer(
        self, path: str, model: ServedModel, body: bytes, patience: float
    ) -> AsyncIterator[Answer]:
        entry = base_models.find(model.base_model)
        if entry is None:
            raise NotFoundError(f"The base model '{model.base_model}' is not in the catalogue any more.")
        if model.weights_key:
            raise APIError(
                f"The model '{model.id}' has weights of its own, and this deployment serves adapters on the "
                "endpoints of base models (`serving` is sagemaker in cdk.json). They are in the bucket below "
                f"{model.weights_key}: a vLLM of your own can serve them (`serving` openai_compatible).",
                param="model",
                code="model_not_served",
            )
        wanted = plan(entry, self._settings)
        component = component_of_adapter(model.adapter_key) if model.adapter_key else wanted.component
        give_up_at = self._clock.now() + patience
        while True:
            try:
                answer = await self._threads.run(
                    lambda: invoke(wanted.endpoint, component, body, path), undo=lambda late: late.close()
                )
                break
            except AsleepError as error:
                await self._wait(wanted, model, give_up_at, str(error))
            except AdapterLostError:
                await self._threads.run(lambda: self._remove(wanted, model))
                raise UnavailableError(
                    "The endpoint has lost the adapter, which is loaded anew when you ask again."
                ) from None
        try:
            await self._note(wanted, component, model)
            yield answer
        finally:
            answer.close()

    async def _wait(self, wanted: Plan, model: ServedModel, give_up_at: float, refused: str) -> None:
        """Returns when the model may answer. Raises: UnavailableError when it has failed or takes too
        long."""
        asleep_at, has_waited = int(self._clock.now()), False
        while True:
            sight = await self._threads.run(lambda: self._look(wanted, model, asleep_at))
            if sight.state == "failed":
                raise UnavailableError(
                    sight.message, should_retry=sight.should_retry, retry_after_seconds=RETRY_AFTER_SECONDS
                )
            if sight.state == "ready" and has_waited:
                return
            if self._clock.now() + LOOK_SECONDS > give_up_at:
                message = sight.message or f"SageMaker does not answer yet: {refused}"
                raise UnavailableError(message, retry_after_seconds=RETRY_AFTER_SECONDS)
            await self._clock.sleep(LOOK_SECONDS)
            if sight.state == "ready":  # and yet it was not, a moment ago
                return
            has_waited = True

    def _look(self, wanted: Plan, model: ServedModel, asleep_at: int) -> Sight:
        """What is the case since `asleep_at`, by one's own look or another's."""
        now = int(self._clock.now())
        endpoint = _current(
            *ServingStore().look(
                wanted.endpoint,
                now,
                every_seconds=LOOK_SECONDS,
                see=lambda: sagemaker_endpoint.look(wanted),
            ),
            asleep_at,
        )
        if endpoint.state != "ready" or not model.adapter_key:
            return endpoint
        key, most = model.adapter_key, int(self._settings.max_adapters)
        return _current(
            *ServingStore(wanted.endpoint).look(
                component_of_adapter(key),
                now,
                every_seconds=LOOK_SECONDS,
                see=lambda: sagemaker_adapters.look(wanted, key, now, most=most),
            ),
            asleep_at,
        )

    def _remove(self, wanted: Plan, model: ServedModel) -> None:
        if model.adapter_key:
            sagemaker_adapters.remove(wanted, model.adapter_key)

    async def _note(self, wanted: Plan, component: str, model: ServedModel) -> None:
        """Note the use of adapter and endpoint, at most every few minutes."""
        now = self._clock.now()
        if now - self._noted.get(component, 0.0) < USED_EVERY_SECONDS:
            return
        self._noted[component] = now
        if model.adapter_key:
            await self._threads.run(lambda: ServingStore(wanted.endpoint).used(component, int(now)))
        await self._threads.run(lambda: ServingStore().used(wanted.endpoint, int(now)))

    async def _pieces(self, answer: Answer) -> AsyncIterator[bytes]:
        pieces = answer.pieces()
        while (piece := await self._threads.run(lambda: next(pieces, None))) is not None:
            yield piece


class _NotOf:
    """Chunks of an adapter's answer. vLLM says who speaks, and a container that overlooks the adapter speaks
    for the base model, which nobody would notice."""

    def __init__(self, base_model: str, chunks: Chunks) -> None:
        self._base_model = base_model
        self._chunks = chunks

    def add(self, raw: Any) -> list[dict[str, Any]]:
        if isinstance(raw, dict) and raw.get("model") == self._base_model:
            raise UnavailableError(
                "The endpoint answered with the base model in place of the tuned one: its container does not "
                "obey SageMaker's adapters. `serving_image` should be AWS's vLLM for SageMaker.",
                should_retry=False,
            )
        return self._chunks.add(raw)

    def end(self) -> list[dict[str, Any]]:
        return self._chunks.end()


def _current(known: Any, is_first_hand: bool, asleep_at: int) -> Sight:
    """What was seen before this request began says nothing: something has happened since."""
    if is_first_hand or known.seen_at > asleep_at:
        return known
    return Sight(state="waiting", message=known.message if known.state == "waiting" else "")
