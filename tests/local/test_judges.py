"""The judges of `outcrop local`: the loop's own models, and what `--judge` adds."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from moto import mock_aws

from local.errors import LocalError
from local.judges import JudgeKeys, Judges, setting
from local.stack import LocalStack
from outcrop.cli.local import _judges
from outcrop.types.judge import OpenAIJudge, find, parse

MODELS = ["smollm2-135m-instruct", "tiny-caps"]
SERVING, API = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"


@pytest.fixture
def secrets() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="us-west-2")


def asked(secrets: Any, name: str, targets: Mapping[str, str] | None = None) -> OpenAIJudge | None:
    """The judge `name` of a loop with these models and a key for other servers."""
    judges = Judges(targets or {}, "sk-servers")
    keys = JudgeKeys(secrets, judges.api_key)
    keys.keep("sk-loop")
    configured = parse(json.loads(setting(judges, MODELS, keys, serving_url=SERVING, base_url=API)))
    found = find(configured, name)
    assert found is None or isinstance(found, OpenAIJudge)
    return found


@pytest.mark.parametrize(
    ("name", "model"),
    [("smollm2-135m-instruct", "smollm2-135m-instruct"), ("tiny-caps", "tiny-caps"), ("default", MODELS[0])],
)
def test_the_loops_models_judge_at_the_inference_server(secrets: Any, name: str, model: str) -> None:
    judge = asked(secrets, name)

    assert judge is not None
    assert (judge.base_url, judge.model, judge.secret) == (SERVING, model, None)


def test_a_tuned_model_judges_through_the_api_with_the_loops_key(secrets: Any) -> None:
    name = "ft:tiny-caps:default:caps:12345678"

    judge = asked(secrets, name)

    assert judge is not None
    assert (judge.base_url, judge.model) == (API, name)
    assert secrets.get_secret_value(SecretId=judge.secret)["SecretString"] == "sk-loop"


@pytest.mark.parametrize(
    ("target", "base_url", "model", "key"),
    [
        ("tiny-caps", SERVING, "tiny-caps", None),
        ("ft:tiny-caps:default:x:12345678", API, "ft:tiny-caps:default:x:12345678", "sk-loop"),
        ("https://api.openai.com/v1#gpt-5", "https://api.openai.com/v1", "gpt-5", "sk-servers"),
    ],
)
def test_a_name_may_be_given_to_another_model(
    secrets: Any, target: str, base_url: str, model: str, key: str | None
) -> None:
    judge = asked(secrets, "gpt-5-mini", {"gpt-5-mini": target})

    assert judge is not None
    assert (judge.base_url, judge.model) == (base_url, model)
    held = secrets.get_secret_value(SecretId=judge.secret)["SecretString"] if judge.secret else None
    assert held == key


def test_another_name_has_no_judge(secrets: Any) -> None:
    assert asked(secrets, "gpt-5") is None


@pytest.mark.parametrize("target", ["gpt-5", "api.openai.com/v1#gpt-5", "https://api.openai.com/v1"])
def test_a_judge_that_is_nowhere_is_refused_at_start(tmp_path: Path, target: str) -> None:
    stack = LocalStack(tmp_path, 0, {}, ["tiny-caps"], Judges({"gpt-5-mini": target}))

    with pytest.raises(LocalError, match=r"--judge gpt-5-mini=.* is none of this loop's models \(tiny-caps"):
        stack.start()


@pytest.mark.parametrize("option", ["gpt-5", "=gpt-5", "gpt-5="])
def test_an_option_of_another_form_is_refused(option: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not NAME=MODEL or NAME=URL#MODEL"):
        _judges([option])


def test_the_servers_key_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_JUDGE_API_KEY", "sk-1")

    assert _judges(["a=http://x/v1#y=z"]) == Judges({"a": "http://x/v1#y=z"}, "sk-1")
