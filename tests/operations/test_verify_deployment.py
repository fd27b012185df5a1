"""`scripts/verify_deployment.py` against the real API on an emulated account: what it can check there passes,
what is not as it should be fails in words, and what costs does not run unasked."""

from collections.abc import Iterator

import pytest

from outcrop.settings import settings
from outcrop.stores.keys import KeyStore
from outcrop.stores.projects import ProjectStore
from scripts import verify_deployment
from tests.account import Account
from tests.command_process import a_stack
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.sandbox.grading import run as sandbox
from tests.whole_api import whole_api


@pytest.fixture
def base_url(aws: Account) -> Iterator[str]:
    """Of an API that CloudFormation knows."""
    a_stack("OutcropStorage", {"TableName": settings().table, "BucketName": settings().bucket})
    with whole_api("http://127.0.0.1:9/v1") as url:
        a_stack("OutcropApi", {"BaseUrl": f"{url}/v1"})
        yield f"{url}/v1"


def test_what_is_as_it_should_be_passes(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = verify_deployment.main(["stacks", "prefixes", "refusals"])

    told = capsys.readouterr().out.splitlines()
    assert status == 0, told
    assert told[0] == "PASS  stacks    2 stacks in us-west-2"
    assert told[1].endswith("models at /v1 and /openai/v1")
    assert told[2].startswith("PASS  refusals  a wrong key: 401 ")


def test_its_keys_are_revoked(base_url: str) -> None:
    verify_deployment.main(["stacks"])

    assert [project.id for project in ProjectStore().list(after=None, limit=10).data] == [
        "verify",
        "verify-other",
    ]
    assert not KeyStore("verify").list(after=None).data


def test_a_sandbox_without_a_way_out_passes(
    base_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    monkeypatch.setenv("OUTCROP_SANDBOX_FUNCTION", server.function(sandbox, name="OutcropSandbox-Sandbox1-A"))
    settings.cache_clear()

    status = verify_deployment.main(["egress", "tenants"])

    server.stop()
    settings.cache_clear()
    assert (status, capsys.readouterr().out) == (0, "PASS  egress   reward 1.0\nPASS  tenants  reward 1.0\n")


def test_what_is_not_as_it_should_be_fails_in_words(
    base_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = verify_deployment.main(["egress", "dashboard"])

    told = capsys.readouterr().out.splitlines()
    assert status == 1
    assert told[0].startswith("FAIL  egress     ")
    assert told[1].startswith("FAIL  dashboard  The stack OutcropMonitoring is not in us-west-2")


def test_what_costs_waits_for_a_yes(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = verify_deployment.main(["job", "serving"])

    assert (status, capsys.readouterr().out.splitlines()) == (
        0,
        [
            "SKIP  job      costs about $1.00: --yes runs it",
            "SKIP  serving  costs about $1.50: --yes runs it",
        ],
    )


def test_an_unknown_check_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        verify_deployment.main(["everything"])

    assert exit.value.code == 2
    assert "there is no check 'everything'. There are: stacks, " in capsys.readouterr().err
