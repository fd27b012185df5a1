"""The API as `outcrop graders test` uses it: one completion, one grade, many at a time."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI

from outcrop.cli.grader_inputs import WrongArgument
from outcrop.cli.grader_trial import Completion, Grade, Row
from outcrop.graders.reward import TokenUsage

One = TypeVar("One")
Answer = TypeVar("Answer")

_TRIES = 5
_WHERE_KEYS_ARE = "`outcrop local` prints the local loop's, `outcrop keys create` makes a deployment's"


class GraderClient:
    def __init__(self, concurrency: int) -> None:
        """Raises: WrongArgument if the environment does not say where the API is."""
        url, key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
        if not url:
            raise WrongArgument(
                "OPENAI_BASE_URL is not set: the API that grades, such as http://127.0.0.1:8787/v1."
            )
        if not key:
            raise WrongArgument(f"OPENAI_API_KEY is not set: {_WHERE_KEYS_ARE}.")
        self.host = urlsplit(url).hostname or url
        self._url = url
        self._client = AsyncOpenAI(base_url=url, api_key=key, max_retries=_TRIES)
        self._concurrency = concurrency

    async def close(self) -> None:
        await self._client.close()

    async def file(self, file_id: str) -> bytes:
        return (await self._told(self._client.files.content(file_id), "FILE")).content

    async def find_model(self, model: str) -> None:
        await self._told(self._client.models.retrieve(model), "--model")

    async def check(self, grader: Any) -> dict[str, Any]:
        """The grader's definition as the server understood it."""
        answer: Any = await self._told(
            self._client.fine_tuning.alpha.graders.validate(grader=grader), "--grader"
        )
        return answer.to_dict(warnings=False)["grader"]

    async def sample(self, row: int, item: Row, request: Mapping[str, Any]) -> list[Completion]:
        """As many completions as `request` asks for (`n`), or one that says why there is none."""
        started = time.monotonic()
        tools = {"tools": item["tools"]} if item.get("tools") else {}
        asked: Any = {"messages": item["messages"], **tools, **request}
        try:
            answer = await self._client.chat.completions.create(**asked)
        except openai.APIError as error:
            seconds = time.monotonic() - started
            return [Completion(row, None, seconds, error=_kind(error), message=_message(error))]
        seconds = time.monotonic() - started
        written = answer.usage.completion_tokens if answer.usage else 0
        return [
            Completion(
                row,
                choice.message.content or "",
                seconds,
                tokens=written / len(answer.choices),
                is_cut_off=choice.finish_reason == "length",
                tool_calls=tuple(call.to_dict() for call in choice.message.tool_calls or ()),
            )
            for choice in answer.choices
        ]

    async def grade(
        self, grader: Any, row: int, item: Row, text: str, tool_calls: Sequence[Any] = ()
    ) -> Grade:
        graders = self._client.fine_tuning.alpha.graders
        extra = {"tool_calls": [*tool_calls]} if tool_calls else None
        try:
            run = await graders.run(grader=grader, model_sample=text, item=item, extra_body=extra)
        except openai.APIError as error:
            return Grade(row, text, None, _kind(error), _message(error))
        answer: dict[str, Any] = run.to_dict()
        metadata = answer["metadata"]
        error = _error(metadata["errors"])
        return Grade(
            row,
            text,
            None if error else float(answer["reward"]),
            error,
            (metadata.get("error_message") or error) if error else None,
            seconds=metadata["execution_time"],
            tokens={
                model: TokenUsage(used["prompt_tokens"], used["completion_tokens"], used["cached_tokens"])
                for model, used in answer["model_grader_token_usage_per_model"].items()
            },
        )

    async def all(
        self, asked: Iterable[One], ask: Callable[[One], Awaitable[Answer]], advance: Callable[[], None]
    ) -> list[Answer]:
        """What `ask` answers to each, in order."""
        free = asyncio.Semaphore(self._concurrency)

        async def one(argument: One) -> Answer:
            async with free:
                answer = await ask(argument)
            advance()
            return answer

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(argument)) for argument in asked]
        return [task.result() for task in tasks]

    async def _told(self, call: Awaitable[Answer], option: str) -> Answer:
        """What `call` answers; what it refuses is the fault of `option`, of the key, or of the URL."""
        try:
            return await call
        except openai.AuthenticationError as error:
            raise WrongArgument(f"OPENAI_API_KEY is not a key of {self._url}: {_WHERE_KEYS_ARE}.") from error
        except openai.APIConnectionError as error:
            raise WrongArgument(
                f"No server answers at OPENAI_BASE_URL={self._url}: `outcrop local` starts one."
            ) from error
        except openai.APIError as error:
            raise WrongArgument(f"{option}: {_message(error)}") from error


def _error(errors: Mapping[str, Any]) -> str | None:
    """The one flag that is true; for a server's error its type, which says more."""
    flag = next((name for name, value in errors.items() if value is True), None)
    return errors.get(f"{flag}_type") or flag


def _kind(error: openai.APIError) -> str:
    return f"HTTP {error.status_code}" if isinstance(error, openai.APIStatusError) else type(error).__name__


def _message(error: openai.APIError) -> str:
    """The server's own words, on one line."""
    body = error.body if isinstance(error.body, dict) else {}
    return " ".join(str(body.get("message") or error.message).split())
