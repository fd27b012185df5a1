"""A judge behind an OpenAI-compatible server: OpenAI itself, vLLM, the local inference server, ...

The verdict's form is asked for by `response_format`; what a server that ignores it says is read as strictly.
"""

from typing import Any

import httpx
import orjson

from outcrop.graders.calls import Calls, Retries
from outcrop.graders.judges import judge, secret
from outcrop.graders.judges.judge import Answer, JudgeFailure, Question, failed, throttled
from outcrop.graders.reward import TokenUsage
from outcrop.types.judge import OpenAIJudge

_PASSING = (408, 409, 425)
_CONNECT_SECONDS = 10.0


class OpenAICompatible:
    def __init__(self, judge: OpenAIJudge, calls: Calls) -> None:
        self._judge = judge
        self._timeout_seconds = calls.timeout_seconds
        self._retries = Retries(calls.backoff_seconds)
        self._http = httpx.Client(
            timeout=httpx.Timeout(calls.timeout_seconds, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(
                max_connections=calls.concurrency, max_keepalive_connections=calls.concurrency
            ),
        )

    @property
    def model(self) -> str:
        return self._judge.model

    def close(self) -> None:
        self._retries.close()
        self._http.close()

    def ask(self, question: Question) -> Answer:
        """Raises: JudgeFailure."""
        body = orjson.dumps(_request(self._judge.model, question))
        return self._retries.call(lambda: self._answer(body), judge.retries_of)

    def _answer(self, body: bytes) -> Answer:
        headers = {"content-type": "application/json"}
        if self._judge.secret:
            headers["authorization"] = f"Bearer {secret.api_key(self._judge.secret)}"
        try:
            response = self._http.post(
                f"{self._judge.base_url}/chat/completions", content=body, headers=headers
            )
        except httpx.TimeoutException as error:
            message = f"The judge '{self.model}' did not answer within {self._timeout_seconds:g} s."
            raise failed(message, retries=judge.TIMED_OUT) from error
        except httpx.HTTPError as error:
            message = f"The server of the judge '{self.model}' cannot be reached ({type(error).__name__})."
            raise failed(message, retries=judge.FAILED) from error
        if response.status_code != httpx.codes.OK:
            raise self._explained(response)
        try:
            return _read(orjson.loads(response.content))
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
            message = (
                f"The server of the judge '{self.model}' answered something else than a chat completion."
            )
            raise failed(message) from error

    def _explained(self, response: httpx.Response) -> JudgeFailure:
        status = response.status_code
        whose = f"The server of the judge '{self.model}'"
        if status == 429:
            return throttled(f"{whose} has too many requests (status 429).")
        if status >= 500 or status in _PASSING:
            return failed(f"{whose} failed (status {status}).", retries=judge.FAILED)
        if status in (401, 403):
            return failed(f"{whose} refuses the API key (status {status}).")
        return failed(f"{whose} refused the request (status {status}): {_reason(response.content)}")


def _request(model: str, question: Question) -> dict[str, Any]:
    sampling = question.sampling
    options = {
        "seed": sampling.seed,
        "top_p": sampling.top_p,
        "temperature": sampling.temperature,
        "max_completion_tokens": sampling.max_completions_tokens,
        "reasoning_effort": sampling.reasoning_effort,
    }
    form = {"name": "verdict", "strict": True, "schema": question.schema}
    return {
        "model": model,
        "messages": [{"role": one.role, "content": one.text} for one in question.messages],
        "response_format": {"type": "json_schema", "json_schema": form},
        **{name: value for name, value in options.items() if value is not None},
    }


def _read(completion: dict[str, Any]) -> Answer:
    choice = completion["choices"][0]
    message, reason = choice["message"], choice.get("finish_reason")
    usage = completion.get("usage") or {}
    tokens = TokenUsage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count((usage.get("prompt_tokens_details") or {}).get("cached_tokens")),
    )
    if message.get("refusal") or reason == "content_filter":
        return Answer(message.get("refusal") or "", tokens, "refused")
    return Answer(message.get("content") or "", tokens, "truncated" if reason == "length" else "complete")


def _count(tokens: Any) -> int:
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _reason(body: bytes) -> str:
    """The server's own words, in OpenAI's envelope or in another."""
    try:
        return str(orjson.loads(body)["error"]["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "it does not say why, in words of OpenAI's."
