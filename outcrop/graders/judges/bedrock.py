"""A judge of Amazon Bedrock, asked by Converse.

The verdict's form is asked for as structured output; where the model has none, as a tool that it must call;
where it has no tools, by words alone. Which of these a model takes, its first good answer shows.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError

from outcrop.graders.calls import Calls, Retries
from outcrop.graders.judges import judge
from outcrop.graders.judges.judge import Answer, JudgeFailure, Message, Question, failed, throttled
from outcrop.graders.reward import TokenUsage
from outcrop.types.judge import BedrockJudge

_Form = Literal["schema", "tool", "words"]
_TOOL = "give_verdict"

_THROTTLES = {"ThrottlingException", "TooManyRequestsException", "ServiceQuotaExceededException"}
_PASSING = {"ModelTimeoutException", "ModelNotReadyException", "ModelErrorException"}
_ENDS: Final[dict[str, Literal["truncated", "refused"]]] = {
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "guardrail_intervened": "refused",
    "content_filtered": "refused",
    "refusal": "refused",
}


class Bedrock:
    def __init__(self, judge: BedrockJudge, calls: Calls) -> None:
        self._judge = judge
        self._timeout_seconds = calls.timeout_seconds
        self._retries = Retries(calls.backoff_seconds)
        self._forms: Sequence[_Form] = ("schema", "tool", "words")
        config = Config(
            max_pool_connections=calls.concurrency,
            connect_timeout=10,
            read_timeout=calls.timeout_seconds,
            retries={"total_max_attempts": 1},  # `ask` retries, by kind of failure
            tcp_keepalive=True,
        )
        self._client = boto3.client("bedrock-runtime", config=config)

    @property
    def model(self) -> str:
        return self._judge.model

    def close(self) -> None:
        self._retries.close()

    def ask(self, question: Question) -> Answer:
        """Raises: JudgeFailure."""
        return self._retries.call(lambda: self._answer(question), judge.retries_of)

    def _answer(self, question: Question) -> Answer:
        forms = self._forms
        for form in forms:
            try:
                answer = _read(self._client.converse(**_request(self._judge.model, question, form)))
            except (ClientError, BotoCoreError) as error:
                if _code(error) == "ValidationException" and form != forms[-1]:
                    continue  # the form, or the request as a whole, which the last form then says
                raise self._explained(error) from error
            self._forms = (form,)
            return answer
        raise AssertionError("the last form answers or raises")

    def _explained(self, error: ClientError | BotoCoreError) -> JudgeFailure:
        if isinstance(error, ReadTimeoutError):
            message = f"The judge '{self.model}' did not answer within {self._timeout_seconds:g} s."
            return failed(message, retries=judge.TIMED_OUT)
        if isinstance(error, HTTPClientError):
            message = f"Bedrock cannot be reached ({type(error).__name__})."
            return failed(message, retries=judge.FAILED)
        if not isinstance(error, ClientError):
            return failed(f"The judge '{self.model}' cannot be asked: {error}")
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLES:
            return throttled(f"Bedrock throttles the judge '{self.model}' ({code}).")
        if code in _PASSING or status >= 500:
            message = f"Bedrock could not ask the judge '{self.model}' ({code}, status {status})."
            return failed(message, retries=judge.FAILED)
        if code == "AccessDeniedException":
            message = (
                f"The judge '{self.model}' may not be asked. Does the account have access to this model in "
                "this Region? One that is no foundation model has to be in the setting 'judges', by its ARN."
            )
            return failed(message)
        reason = error.response.get("Error", {}).get("Message", "")[:300]
        return failed(f"Bedrock refused to ask the judge '{self.model}' ({code}): {reason}")


def _request(model: str, question: Question, form: _Form) -> dict[str, Any]:
    system = [{"text": one.text} for one in question.messages if one.role == "system" and one.text.strip()]
    sampling = question.sampling
    inference = {
        "maxTokens": sampling.max_completions_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
    }
    request: dict[str, Any] = {
        "modelId": model,
        "messages": _turns(question.messages),
        "inferenceConfig": {name: value for name, value in inference.items() if value is not None},
        **({"system": system} if system else {}),
    }
    if sampling.reasoning_effort and "openai." in model:
        request["additionalModelRequestFields"] = {"reasoning_effort": sampling.reasoning_effort}
    elif sampling.reasoning_effort:
        request["outputConfig"] = {"effort": sampling.reasoning_effort}
    if form == "schema":
        schema = {"name": "verdict", "schema": orjson.dumps(question.schema).decode()}
        output = {"type": "json_schema", "structure": {"jsonSchema": schema}}
        request["outputConfig"] = {**request.get("outputConfig", {}), "textFormat": output}
    elif form == "tool":
        tool = {"name": _TOOL, "description": "Give your verdict.", "inputSchema": {"json": question.schema}}
        request["toolConfig"] = {
            "tools": [{"toolSpec": tool}],
            "toolChoice": {"tool": {"name": _TOOL}},
        }
    return request


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Users' and assistants' texts, as Converse wants them: in turns, and none of them blank."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system" or not message.text.strip():
            continue
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"].append({"text": message.text})
        else:
            turns.append({"role": message.role, "content": [{"text": message.text}]})
    return turns


def _read(response: Mapping[str, Any]) -> Answer:
    blocks = response["output"]["message"]["content"]
    verdicts = [block["toolUse"]["input"] for block in blocks if "toolUse" in block]
    text = (
        orjson.dumps(verdicts[0]).decode()
        if verdicts
        else "".join(block["text"] for block in blocks if "text" in block)
    )
    usage = response["usage"]
    cached = usage.get("cacheReadInputTokens", 0)  # which `inputTokens` leaves out, as it does written ones
    prompt = usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0)
    return Answer(
        text,
        TokenUsage(prompt, usage["outputTokens"], cached),
        _ENDS.get(response["stopReason"], "complete"),
    )


def _code(error: ClientError | BotoCoreError) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
