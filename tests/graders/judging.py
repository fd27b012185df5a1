"""What the tests of judges have in common: graders, a judge's words, a deployment's setting."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from pydantic import TypeAdapter
from starlette.responses import Response, StreamingResponse

from local.processes import ServerThread, listen
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion, Reward
from outcrop.types.grader import Grader
from outcrop.types.judge import Judges, parse
from tests.inference.scripted_server import ScriptedServer, whole

ITEM = {
    "messages": [{"role": "user", "content": "What is 2 + 2?"}],
    "reference_answer": "4",
}
STEPS = [{"description": "The sum", "conclusion": "is right"}]
SCORE_MODEL: dict[str, Any] = {
    "type": "score_model",
    "name": "quality",
    "model": "a-judge",
    "input": [
        {"role": "system", "content": "Grade the answer."},
        {"role": "user", "content": "Wanted: {{item.reference_answer}}\nGiven: {{sample.output_text}}"},
    ],
}
LABEL_MODEL: dict[str, Any] = {
    **{name: SCORE_MODEL[name] for name in ("model", "input")},
    "type": "label_model",
    "name": "tone",
    "labels": ["good", "fair", "bad"],
    "passing_labels": ["good", "fair"],
}
MODEL_AS_JUDGE: dict[str, Any] = {"type": "model_as_judge", "instructions": "Reward right answers."}


def a_verdict(result: Any, steps: Any = STEPS) -> str:
    return orjson.dumps({"steps": steps, "result": result}).decode()


def says(text: str | None, finish_reason: str = "stop", **message: Any) -> Response:
    """A judge's answer."""
    return whole({"content": text} | message, finish_reason)


def never() -> Response:
    """An answer that is not waited for."""

    async def body() -> AsyncIterator[bytes]:
        await asyncio.sleep(1)
        yield b"{}"

    return StreamingResponse(body())


@contextmanager
def scripted_judge() -> Iterator[tuple[ScriptedServer, str]]:
    """A judge that says what it is told to, and its base URL."""
    server, listener = ScriptedServer(), listen(0)
    thread = ServerThread(server.app, listener)
    try:
        yield server, f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        thread.stop()


def at(url: str, **judge: Any) -> Judges:
    """The setting of a deployment whose only judge is there."""
    return parse({"a-judge": {"provider": "openai", "base_url": url, "model": "the-model"} | judge})


def judged(
    grader: dict[str, Any],
    judges: Judges,
    *texts: str,
    item: dict[str, Any] = ITEM,
    concurrency: int = 4,
    timeout_seconds: float = 10,
) -> Sequence[Reward]:
    """The pipeline's rewards of these completions, without waits between tries."""
    pipeline = GraderPipeline(
        TypeAdapter[Grader](Grader).validate_python(grader),
        concurrency=concurrency,
        timeout_seconds=timeout_seconds,
        backoff_seconds=0,
        judges=judges,
    )
    try:
        return pipeline.grade([GradedCompletion(item, text) for text in texts or ("4",)])
    finally:
        pipeline.close()
