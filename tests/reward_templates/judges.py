"""A judge template as its owner has it: the folder with `judge.py` beside it, imported as by Lambda."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outcrop import reward_templates
from tests.converse_server import Asked, ConverseServer, Said

TEMPLATES = reward_templates.FOLDER
JUDGES = reward_templates.JUDGES


class Context:
    """What Lambda tells a handler about its invocation, as far as the judges ask."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


class Template:
    """The handler of one judge template in front of one judge."""

    def __init__(self, handler: ModuleType, server: ConverseServer) -> None:
        self.module = handler
        self.server = server

    def __call__(self, event: Any, *, seconds: float = 30) -> list[dict[str, Any]]:
        return json.loads(json.dumps(self.module.lambda_handler(event, Context(seconds))))


MakeTemplate = Callable[..., Template]


def install(
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: ConverseServer,
    wire: str,
    **variables: str,
) -> Template:
    """The template's handler, copied to `folder` and imported anew under these environment variables."""
    reward_templates.copy(name, folder)
    for variable in (
        "JUDGE_MODEL",
        "JUDGE_BASE_URL",
        "JUDGE_API_KEY",
        "JUDGE_CONCURRENCY",
        "JUDGE_MAX_TOKENS",
    ):
        monkeypatch.delenv(variable, raising=False)
    if wire == "chat":
        variables = {"JUDGE_BASE_URL": f"{server.url}/v1/", **variables}
    for variable, value in {**_ACCOUNT, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": server.url, **variables}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.syspath_prepend(str(folder))
    for module in ("judge", "handler"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return Template(importlib.import_module("handler"), server)


_ACCOUNT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-west-2"}


def said_on(asked: Asked, verdict: Any, **more: Any) -> Said:
    """A verdict as a model gives it on either wire: by a call on Converse, as JSON text in a chat."""
    return Said(call=verdict, **more) if asked.wire == "converse" else Said(json.dumps(verdict), **more)


def block(asked: Asked, name: str) -> str:
    """What the judge was shown between the tags of one text."""
    mark = asked.text.partition("<conversation-")[2][:16] or asked.text.partition("<context-")[2][:16]
    return asked.text.partition(f"<{name}-{mark}>\n")[2].partition(f"\n</{name}-{mark}>")[0]


def criteria(asked: Asked) -> list[str]:
    """What the judge was asked for, from the schema it got."""
    if asked.wire == "converse":
        schema = asked.body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    else:
        schema = asked.body["response_format"]["json_schema"]["schema"]
    assert next(iter(schema["properties"])) == "reasoning"
    assert schema["required"] == list(schema["properties"])
    return list(schema["properties"])[1:]


def entry(id: str, completion: str, **row: Any) -> dict[str, Any]:
    """One entry of a batch event, as `outcrop/graders/contracts.py` and Bedrock send it."""
    messages = row.pop("messages", [{"role": "user", "content": "Lena: I order it. Tom: Fine. Summarise."}])
    sent = {"id": id, "messages": [*messages, {"role": "assistant", "content": completion}], "metadata": row}
    if "reference_answer" in row:
        reference = row["reference_answer"]
        sent["reference_answer"] = {"text": reference} if isinstance(reference, str) else reference
    return sent


def rows(template: str, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TEMPLATES / template / file).read_text().splitlines()]
