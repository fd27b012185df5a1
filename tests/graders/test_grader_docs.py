"""`docs/graders.md` names all that is supported, and every snippet on it works."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import openai
import pytest
from openai import OpenAI
from pydantic import TypeAdapter

from outcrop import settings
from outcrop.operations.graders import _FLAGS
from outcrop.types import judge
from outcrop.types.grader import Grader, TextMetric
from tests.account import Account
from tests.graders.judging import a_verdict, says, scripted_judge
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.in_process import in_process_http_client
from tests.inference.scripted_server import ScriptedServer

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/graders.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
JSON = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
HANDLERS = [text for text in PYTHON if "def lambda_handler" in text]


@pytest.fixture
def functions(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    """Lambda, with the sandbox's function in it."""
    from lambdas.sandbox.handler import handler

    server = LambdaEndpoint()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)
    sandbox = server.function(lambda event, _: handler(event, context), name="sandbox")
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    monkeypatch.setenv("OUTCROP_SANDBOX_FUNCTION", sandbox)
    settings.settings.cache_clear()
    yield server
    server.stop()


@pytest.fixture
def judge_server(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with scripted_judge() as (server, url):
        one = {"provider": "openai", "base_url": url, "model": "a-model"}
        monkeypatch.setenv("OUTCROP_JUDGES", json.dumps({"gpt-4.1*": one, "default": one}))
        settings.settings.cache_clear()
        yield server


def test_every_type_metric_and_flag_is_on_the_page() -> None:
    grader: Any = TypeAdapter(Grader).json_schema()
    named = [*grader["discriminator"]["mapping"], *get_args(TextMetric), *_FLAGS.values()]

    shown = re.sub(r"`rouge_1` … `rouge_5`", " ".join(f"`rouge_{n}`" for n in range(1, 6)), PAGE)

    assert [name for name in named if f"`{name}`" not in shown] == []


def test_every_template_is_on_the_page() -> None:
    folders = {path.parent.name for path in REPOSITORY.glob("lambdas/reward_templates/*/handler.py")}

    assert len(folders) == 7
    assert [name for name in sorted(folders) if f"| `{name}` |" not in PAGE] == []


@pytest.mark.parametrize(
    "snippet", [text for text in PYTHON if text not in HANDLERS], ids=range(len(PYTHON) - 1)
)
def test_every_python_snippet_runs(
    client: OpenAI, functions: LambdaEndpoint, judge_server: ScriptedServer, snippet: str
) -> None:
    handler: dict[str, Any] = {}
    exec(HANDLERS[0], handler)
    judge_server.replies = [says(a_verdict(7))]
    users = OpenAI(  # does not check answers against its types, which know no grader of Bedrock's
        base_url=client.base_url, api_key=client.api_key, http_client=in_process_http_client(), max_retries=0
    )
    given = {
        "client": users,
        "openai": openai,
        "function_arn": functions.function(handler["lambda_handler"]),
    }

    exec(snippet, given)  # it asserts what it shows


def test_the_settings_are_settings() -> None:
    [judges, graders] = JSON

    assert judge.parse(judges["judges"]).keys() == {"default", "gpt-4.1*"}
    assert judge.find(judge.parse(judges["judges"]), "gpt-4.1-mini") is not None
    assert graders["graders"].keys() == {"maths", "summaries"}


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in PAGE.splitlines()
    }

    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        assert (REPOSITORY / "docs" / path).exists() if path else anchor in headings, target
