"""`outcrop keys`: what it makes opens the API, until it revokes it."""

import re

import pytest
from typer.testing import CliRunner

from outcrop.cli.keys import app
from outcrop.ids import now
from outcrop.stores.keys import KeyStore
from tests.account import BUCKET, TABLE, Account
from tests.command_process import a_stack


def outcrop_keys(*arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(app, arguments, input=typed)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def refusal_of(*arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(app, arguments, input=typed, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 2
    return result.output


def test_a_key_is_made_listed_and_revoked(aws: Account) -> None:
    key = outcrop_keys("create", "--project", "team-a", "--name", "laptop")
    known = KeyStore.find(key)
    assert known is not None
    assert (known.project, known.expires_at) == ("team-a", None)

    head, line = outcrop_keys("list", "--project", "team-a").splitlines()
    assert re.split("  +", head) == ["ID", "KEY", "NAME", "SCOPES", "MADE (UTC)", "EXPIRES", "LAST USED"]
    cells = re.split("  +", line)
    assert cells[:4] == [known.id, f"...{key[-4:]}", "laptop", "read write inference"]
    assert cells[5:] == ["never", "never"]

    assert outcrop_keys("revoke", known.id, "--project", "team-a") == f"Revoked {known.id}."
    assert KeyStore.find(key) is None
    assert outcrop_keys("list", "--project", "team-a") == ""


def test_a_key_has_the_scopes_and_the_end_it_was_given(aws: Account) -> None:
    key = outcrop_keys("create", "--scope", "read", "--scope", "inference", "--expires-in-days", "30")

    known = KeyStore.find(key)
    assert known is not None
    assert known.scopes == ["read", "inference"]
    assert known.expires_at == pytest.approx(now() + 30 * 86_400, abs=5)


def test_an_expired_key_is_listed_as_such(aws: Account) -> None:
    KeyStore("default").create("old", expires_at=now() - 1)

    assert "expired" in outcrop_keys("list")


def test_admin_keys_are_made_listed_and_revoked_apart(aws: Account) -> None:
    key = outcrop_keys("create", "--admin", "--name", "platform")

    known = KeyStore.find(key)
    assert known is not None
    assert known.scopes == ["admin"]
    assert key.startswith("sk-outcrop-admin-")
    assert outcrop_keys("list") == ""
    assert known.id in outcrop_keys("list", "--admin")
    outcrop_keys("revoke", known.id, "--admin")
    assert KeyStore.find(key) is None


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_key_of_ones_own_is_read_from_standard_input(aws: Account, end: str) -> None:
    outcrop_keys("import", "--project", "team-a", "--name", "old clients", typed=f"My API Key{end}")

    known = KeyStore.find("My API Key")
    assert known is not None
    assert (known.project, known.name) == ("team-a", "old clients")


def test_a_list_of_many_keys_shows_them_all(aws: Account) -> None:
    made = [KeyStore("default").create(f"key {i}") for i in range(103)]

    listed = outcrop_keys("list").splitlines()[1:]

    assert [line.split()[1] for line in listed] == [f"...{key[-4:]}" for key in reversed(made)]


@pytest.mark.parametrize(
    ("arguments", "typed", "message"),
    [
        (("create", "--project", "Team A"), "", "lower-case letters"),
        (("create", "--project", "admin"), "", "reserved"),
        (("create", "--scope", "everything"), "", "may have read, write, inference"),
        (("create", "--admin", "--scope", "read"), "", "may have admin"),
        (("create", "--expires-in-days", "0"), "", "--expires-in-days"),
        (("import",), "short\n", "8 to 256"),
        (("create", "--state", "nowhere"), "", "runs on nowhere"),
        (("revoke", "nonsense"), "", "No such API key: 'nonsense'."),
    ],
)
def test_what_is_wrong_is_named(aws: Account, arguments: tuple[str, ...], typed: str, message: str) -> None:
    assert message in refusal_of(*arguments, typed=typed)


def test_the_table_is_that_of_the_deployed_stack(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    a_stack("OutcropStorage", {"TableName": TABLE, "BucketName": BUCKET}, region="us-east-1")
    monkeypatch.delenv("OUTCROP_TABLE")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-west-2")

    assert "no Outcrop in us-west-2" in refusal_of("create")

    a_stack("OutcropStorage", {"TableName": TABLE, "BucketName": BUCKET})
    key = outcrop_keys("create", "--region", "us-west-2")
    assert KeyStore.find(key) is not None
