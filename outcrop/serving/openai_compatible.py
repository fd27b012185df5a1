"""Any OpenAI-compatible server that loads LoRA adapters by vLLM's API: our local one, or your own vLLM.

A base model goes by its catalogue id (`vllm serve ... --served-model-name qwen.qwen3-32b`), a tuned model by
its model id. When the server does not know an adapter yet, it is loaded by `POST {url}/load_lora_adapter`,
for which vLLM wants `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=true, and asked again. `lora_path`
is `s3://{bucket}/{prefix}`. Our server reads S3 itself. vLLM opens folders only and takes that path as one
relative to its working folder: mount the bucket there, as `s3:/{bucket}` (Mountpoint for Amazon S3). A tuned
model with weights of its own our server loads by `POST {url}/load_model`; vLLM has it from its start, by its
name: `vllm serve s3:/{bucket}/{prefix} --served-model-name ft:...`.

For tools vLLM wants `--enable-auto-tool-choice --tool-call-parser NAME` (`hermes` for Qwen, `openai` for
gpt-oss), for thoughts in a field of their own `--reasoning-parser NAME`; it follows a `response_format` as it
is. More log probabilities than 20 tokens' need `--max-logprobs`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from outcrop.errors import UnavailableError
from outcrop.serving import chat_shape, completion_shape, dialect
from outcrop.serving.refusals import error_in, meaning
from outcrop.serving.streams import STREAMED, Chunks, parsed, shaped
from outcrop.types.model import ServedModel

# The SDK waits 600 s for an answer. A connection takes milliseconds, or the server is not there.
_TIMEOUT = httpx.Timeout(600, connect=5)
# A few hundred answers may be on their way at once; each waits for the model, not for a connection.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=32)


class OpenAICompatible:
    def __init__(self, url: str, bucket: str) -> None:
        self._url = url.rstrip("/")
        self._bucket = bucket
        # The environment's proxies are for the way out, and a model server is on the inside.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def chat(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        return chat_shape.whole(await self._whole("chat/completions", model, _dialect(model, request)))

    def stream(self, model: ServedModel, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        return self._stream("chat/completions", model, _dialect(model, request), chat_shape.Chunks())

    async def complete(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        return completion_shape.whole(await self._whole("completions", model, _dialect(model, request)))

    def stream_completion(
        self, model: ServedModel, request: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        return self._stream("completions", model, _dialect(model, request), completion_shape.Chunks())

    async def _whole(self, path: str, model: ServedModel, request: dict[str, Any]) -> Any:
        async with self._answer(path, model, request | {"stream": False}) as response:
            return parsed(await response.aread())

    async def _stream(
        self, path: str, model: ServedModel, request: dict[str, Any], chunks: Chunks
    ) -> AsyncGenerator[dict[str, Any]]:
        async with self._answer(path, model, request | STREAMED) as response:
            async for chunk in shaped(response.aiter_bytes(), chunks):
                yield chunk

    @asynccontextmanager
    async def _answer(
        self, path: str, model: ServedModel, request: dict[str, Any]
    ) -> AsyncIterator[httpx.Response]:
        """The server's good answer, its body still to be read; or the error that its other answer means."""
        try:
            response = await self._post(path, request)
            if response.status_code == 404 and (model.adapter_key or model.weights_key):
                await response.aclose()
                await self._load(model)
                response = await self._post(path, request)
            try:
                if not response.is_success:
                    wait = response.headers.get("retry-after", "")
                    raise meaning(response.status_code, await response.aread(), path, retry_after=wait)
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"The model server cannot be reached ({type(error).__name__}). Ask again in a moment."
            ) from error

    async def _load(self, model: ServedModel) -> None:
        """Have the server load an adapter, or a model's own weights.

        A 400 is no failure here: it says that another request has loaded it meanwhile. If it means something
        else, the next question shows it.
        """
        path = f"s3://{self._bucket}/{model.adapter_key or model.weights_key}"
        if model.weights_key:
            whole = {"model_name": model.id, "model_path": path, "base_model_name": model.base_model}
            response = await self._post("load_model", whole)
        else:
            # vLLM has one base model and ignores `base_model_name`; a server with several needs it.
            adapter = {"lora_name": model.id, "lora_path": path, "base_model_name": model.base_model}
            response = await self._post("load_lora_adapter", adapter)
        body = await response.aread()
        await response.aclose()
        if not response.is_success and response.status_code != 400:
            by_hand = f" (vLLM has to be started with its weights, {path}, under its name)"
            raise UnavailableError(
                f"The model server cannot load '{model.id}'{by_hand if model.weights_key else ''}: "
                f"{error_in(body).get('message')}"
            )

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        request = self._http.build_request(
            "POST",
            f"{self._url}/{path}",
            content=orjson.dumps(body),
            headers={"content-type": "application/json"},
        )
        return await self._http.send(request, stream=True)


def _dialect(model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
    name = model.id if model.adapter_key or model.weights_key else model.base_model
    return dialect.spoken(model, request) | {"model": name}
