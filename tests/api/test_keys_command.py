"""`outcrop keys`: what it makes opens the API, until it revokes it."""

import pytest
from typer.testing import CliRunner

from outcrop.cli.keys import app
from outcrop.stores.keys import KeyStore
from tests.account import Account


def outcrop_keys(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_a_key_is_made_listed_and_revoked(aws: Account) -> None:
    key = outcrop_keys("create", "--project", "team-a", "--name", "laptop")
    assert KeyStore.project_of(key) == "team-a"

    listed = outcrop_keys("list", "--project", "team-a")
    assert f"...{key[-4:]}" in listed and "laptop" in listed
    assert key not in listed

    outcrop_keys("revoke", listed.split()[0], "--project", "team-a")
    assert KeyStore.project_of(key) is None
    assert outcrop_keys("list", "--project", "team-a") == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "--project", "Team A"], "'Team A'"),
        (["revoke", "0123456789abcdef"], "No such API key"),
        (["create", "--state", "nowhere"], "runs on nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(aws: Account, arguments: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert reason in result.output
    assert "Traceback" not in result.output


def test_without_a_table_or_a_state_folder_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OUTCROP_TABLE", raising=False)

    result = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert "OUTCROP_TABLE" in result.output
