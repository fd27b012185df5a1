"""The three ways published Lambda graders are spoken to: what goes in, and how the answer is read. Pure.

- `batch`, Bedrock's: a list of `{id, messages, reference_answer, metadata}`, answered by a list of
  `{id, aggregate_reward_score, metrics_list?}`.
- `single`, the announcement's: `{"prompt", "response"}`, the item's fields, `item` and `sample`, answered by
  `{"statusCode": 200, "body": {"score"}}`.
- `openai`: `{"item", "sample"}` and nothing else, answered by a number or `{"reward"}`.

Answers are read alike, whichever contract asked: an envelope with `statusCode` is unwrapped, its body may be
text or an object, and the number has one of the names in `_REWARD_KEYS`.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from outcrop.graders.reward import GradedCompletion, GradingError, Outcome, Score, real_number

Contract = Literal["batch", "single", "openai"]
_REWARD_KEYS = ("aggregate_reward_score", "reward", "score")


class UnexpectedAnswer(GradingError):
    """The answer is not in the contract's shape: the function is at fault, or speaks another contract."""

    def __init__(self, message: str) -> None:
        super().__init__("missing_reward", message)


def batch_event(completions: Sequence[GradedCompletion]) -> list[dict[str, Any]]:
    """One entry per completion, each with an id of its own: a row's `id` is shared by its whole group.

    AWS's texts disagree on where the reference answer is, so it is in both places: at top level, a text
    wrapped as `{"text": ...}`, and as the row has it in `metadata`, beside the row's other fields.
    """
    entries: list[dict[str, Any]] = []
    for completion in completions:
        item = completion.item
        entry: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "messages": [*item.get("messages", []), completion.message],
            "metadata": _metadata(item),
        }
        if "reference_answer" in item:
            reference = item["reference_answer"]
            entry["reference_answer"] = {"text": reference} if isinstance(reference, str) else reference
        entries.append(entry)
    return entries


def single_event(completion: GradedCompletion) -> dict[str, Any]:
    """`prompt` is the text of the last user message; the whole conversation is in the item's `messages`.

    `item` and `sample` are there too, so that a function that reads OpenAI's names finds them. A column of
    the row that is called like one of these four is found in `item`.
    """
    own = {"prompt": _prompt(completion.item), "response": completion.text, **openai_event(completion)}
    return {**completion.item, **own}


def openai_event(completion: GradedCompletion) -> dict[str, Any]:
    return {"item": completion.item, "sample": completion.sample}


def parse(answer: bytes | str) -> Any:
    """JSON, strictly: Python's `json` would let NaN and 1e999 through."""
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        text = answer if isinstance(answer, str) else answer.decode(errors="replace")
        if "NaN" in text or "Infinity" in text:
            message = "The function answered NaN or Infinity: a reward has to be a finite number."
            raise GradingError("invalid_reward", message) from error
        raise UnexpectedAnswer(f"The function's answer is not valid JSON ({error}).") from error


def read_batch(answer: Any, event: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """An outcome per entry of `event`, in its order. Ids decide whose is whose; a bad one costs itself alone.

    Raises: UnexpectedAnswer, or GradingError for an error status.
    """
    entries = _unwrap(answer)
    if not isinstance(entries, list):
        raise UnexpectedAnswer(f"The function answered {_named(entries)}; a batch is answered by a list.")
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if isinstance(entry, dict) and "id" in entry:
            by_id.setdefault(str(entry["id"]), []).append(entry)
    strays = len(entries) - sum(len(by_id.get(asked["id"], ())) for asked in event)
    return [_outcome(by_id.get(asked["id"], []), len(event), len(entries), strays) for asked in event]


def read_single(answer: Any) -> Outcome:
    """Raises: UnexpectedAnswer if there is no reward in the answer, or GradingError for an error status."""
    body = _unwrap(answer)
    if isinstance(body, dict) and not any(key in body for key in _REWARD_KEYS):
        raise UnexpectedAnswer("The function's answer has neither 'reward' nor 'score'.")
    if not isinstance(body, dict | int | float):
        wanted = "a number, or an object with 'reward' or 'score'"
        raise UnexpectedAnswer(f"The function answered {_named(body)}; it has to answer {wanted}.")
    return _score(body)


def _outcome(entries: list[Mapping[str, Any]], asked: int, answered: int, strays: int) -> Outcome:
    if len(entries) == 1:
        return _score(entries[0])
    if entries:
        return GradingError("missing_reward", f"The function answered {len(entries)} times for one id.")
    message = f"The function left an id out: it answered {answered} for {asked} completions"
    unknown = f", {strays} of them under an unknown id or none" if strays else ""
    return GradingError("missing_reward", f"{message}{unknown}.")


def _score(body: Mapping[str, Any] | float) -> Outcome:
    try:
        if not isinstance(body, Mapping):
            return Score(real_number(body))
        for key in _REWARD_KEYS:
            if key in body:
                return Score(real_number(body[key]), _metrics(body.get("metrics_list")))
    except GradingError as error:
        return error
    return GradingError("missing_reward", f"The function's answer has no '{_REWARD_KEYS[0]}'.")


def _metrics(metrics_list: Any) -> dict[str, float]:
    """Metrics are shown, not learned from: one that is not a number is left out and costs nothing."""
    metrics: dict[str, float] = {}
    for metric in metrics_list if isinstance(metrics_list, list) else []:
        try:
            metrics[str(metric["name"])] = real_number(metric["value"])
        except (GradingError, KeyError, TypeError):
            continue
    return metrics


def _unwrap(answer: Any) -> Any:
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return answer
    status, body = answer["statusCode"], answer.get("body")
    if not str(status).startswith("2"):
        shown = body if isinstance(body, str) else orjson.dumps(body).decode()
        raise GradingError("grader_exception", f"The function answered statusCode {status}: {shown[:500]}")
    return parse(body) if isinstance(body, str) else body


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields but `messages`. A `metadata` object among them gives its fields, as published graders
    expect."""
    own = item.get("metadata")
    fields = {name: value for name, value in item.items() if name != "messages"}
    if isinstance(own, Mapping):
        del fields["metadata"]
        return {**own, **fields}
    return fields


def _prompt(item: Mapping[str, Any]) -> str:
    for message in reversed(item.get("messages", [])):
        if message.get("role") == "user":
            content = message.get("content") or ""
            return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return ""


def _named(value: Any) -> str:
    names = {type(None): "nothing", str: "a text", list: "a list", dict: "an object", bool: "a boolean"}
    return names.get(type(value), "a number")
