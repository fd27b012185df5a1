"""Any OpenAI-compatible server that loads LoRA adapters by vLLM's API: our local one, or your own vLLM.

A base model goes by its catalogue id (`vllm serve ... --served-model-name qwen.qwen3-32b`), a tuned model by
its model id. When the server does not know an adapter yet, it is loaded by `POST {url}/load_lora_adapter`,
for which vLLM wants `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=true, and asked again. `lora_path`
is `s3://{bucket}/{prefix}`. Our server reads S3 itself. vLLM opens folders only and takes that path as one
relative to its working folder: mount the bucket there, as `s3:/{bucket}` (Mountpoint for Amazon S3).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from outcrop.errors import APIError, UnavailableError
from outcrop.types.model import ServedModel

# The SDK waits 600 s for an answer. A connection takes milliseconds, or the server is not there.
_TIMEOUT = httpx.Timeout(600, connect=5)


class OpenAICompatible:
    def __init__(self, url: str, bucket: str) -> None:
        self._url = url.rstrip("/")
        self._bucket = bucket
        # The environment's proxies are for the way out, and a model server is on the inside.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def chat(self, model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
        async with self._answer(model, request | {"stream": False}) as response:
            return orjson.loads(await response.aread())

    async def stream(self, model: ServedModel, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        async with self._answer(model, request | {"stream": True}) as response:
            async for data in _events(response):
                if data == b"[DONE]":
                    return
                if error := _error(data):
                    raise UnavailableError(f"The model server failed: {error.get('message')}")
                for one in _one_thing_each(orjson.loads(data)):
                    yield one
        raise UnavailableError("The model server's answer ended before it was complete.")

    @asynccontextmanager
    async def _answer(self, model: ServedModel, request: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """The server's good answer, its body still to be read; or the error that its other answer means."""
        request = request | {"model": model.id if model.adapter_key else model.base_model}
        try:
            response = await self._post("chat/completions", request)
            if response.status_code == 404 and model.adapter_key:
                await response.aclose()
                await self._load(model)
                response = await self._post("chat/completions", request)
            try:
                if not response.is_success:
                    raise _meaning(response.status_code, await response.aread())
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"The model server cannot be reached ({type(error).__name__}). Ask again in a moment."
            ) from error

    async def _load(self, model: ServedModel) -> None:
        """Have the server load an adapter.

        A 400 is no failure here: it says that another request has loaded it meanwhile. If it means something
        else, the next question shows it.
        """
        path = f"s3://{self._bucket}/{model.adapter_key}"
        # vLLM has one base model and ignores `base_model_name`; a server with several needs it.
        adapter = {"lora_name": model.id, "lora_path": path, "base_model_name": model.base_model}
        response = await self._post("load_lora_adapter", adapter)
        body = await response.aread()
        await response.aclose()
        if not response.is_success and response.status_code != 400:
            raise UnavailableError(
                f"The model server cannot load '{model.id}': {_error(body).get('message')}"
            )

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        request = self._http.build_request(
            "POST",
            f"{self._url}/{path}",
            content=orjson.dumps(body),
            headers={"content-type": "application/json"},
        )
        return await self._http.send(request, stream=True)


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The `data:` of each server-sent event. (`aiter_lines` also ends lines at U+2028, which JSON may
    contain.)"""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()


def _one_thing_each(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """OpenAI ends a choice in a chunk of its own; some servers put the reason into the last piece of text."""
    ending = [choice for choice in chunk["choices"] if choice.get("finish_reason")]
    if not any(choice["delta"].get("content") for choice in ending):
        return [chunk]
    texts = [choice | {"finish_reason": None} for choice in chunk["choices"]]
    ends = [choice | {"delta": {}} for choice in ending]
    return [chunk | {"choices": texts}, chunk | {"choices": ends}]


def _meaning(status: int, body: bytes) -> APIError:
    """What a caller is told when the server refuses: its own words about a bad request, ours about anything
    else."""
    error = _error(body)
    if status not in (400, 413, 422):
        return UnavailableError(f"The model server answered {status}: {error.get('message')}")
    message = str(error.get("message") or "The model server refused the request.")
    if "maximum context length" in message:  # how vLLM puts it; its own code is the status, a number
        return APIError(message, param="messages", code="context_length_exceeded")
    code = error.get("code")
    return APIError(message, param=error.get("param"), code=code if isinstance(code, str) else None)


def _error(body: bytes) -> dict[str, Any]:
    """The `error` of an envelope; empty if the body is none (a proxy's page, say)."""
    try:
        error = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}
