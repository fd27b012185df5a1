"""API keys: shown once, stored as a hash, good for one project, until revoked."""

from collections.abc import Callable

import boto3
import pytest

from outcrop.errors import APIError, NotFoundError
from outcrop.stores.keys import KeyStore


@pytest.mark.parametrize("project", ["a", "acme", "team-a-2", "0", "a" * 32])
def test_a_key_opens_its_project(project: str) -> None:
    key = KeyStore(project).create("laptop")

    assert key.startswith(f"sk-outcrop-{project}-")
    assert KeyStore.project_of(key) == project


def test_projects_whose_names_begin_alike_do_not_open_each_other() -> None:
    key = KeyStore("team").create("one")
    KeyStore("team-a").create("two")
    secret = key.rpartition("-")[2]

    assert KeyStore.project_of(f"sk-outcrop-team-a-{secret}") is None
    assert KeyStore.project_of(key) == "team"


@pytest.mark.parametrize("project", ["", "A", "a b", "a#b", "-a", "a-", "a" * 33, "a/b", "ä"])
def test_a_name_that_no_key_could_carry_is_refused(project: str) -> None:
    with pytest.raises(APIError, match="project"):
        KeyStore(project)


@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + "0", lambda key: key.upper()])
def test_a_key_that_is_nearly_right_opens_nothing(change: Callable[[str], str]) -> None:
    key = KeyStore("acme").create("laptop")

    assert KeyStore.project_of(change(key)) is None


@pytest.mark.parametrize(
    "key", ["", "sk-outcrop-", "sk-outcrop-acme-", "sk-outcrop-acme-" + "0" * 48, "My API Key"]
)
def test_what_is_no_key_opens_nothing(key: str) -> None:
    assert KeyStore.project_of(key) is None


def test_the_key_itself_is_nowhere_in_the_table() -> None:
    key = KeyStore("acme").create("laptop")

    rows = boto3.client("dynamodb").scan(TableName="outcrop-table")["Items"]

    assert len(rows) == 1
    assert key.rpartition("-")[2] not in str(rows)


def test_a_revoked_key_opens_nothing_and_the_others_still_do() -> None:
    kept, revoked = KeyStore("acme").create("kept"), KeyStore("acme").create("revoked")
    listed = next(key for key in KeyStore("acme").list() if key.name == "revoked")
    assert listed.last4 == revoked[-4:]

    KeyStore("acme").revoke(listed.id)

    assert KeyStore.project_of(revoked) is None
    assert KeyStore.project_of(kept) == "acme"
    assert [key.name for key in KeyStore("acme").list()] == ["kept"]


@pytest.mark.parametrize("key_id", ["", "0", "0" * 16])
def test_a_key_that_is_not_there_cannot_be_revoked(key_id: str) -> None:
    key = KeyStore("acme").create("laptop")

    with pytest.raises(NotFoundError):
        KeyStore("acme").revoke(key_id)

    assert KeyStore.project_of(key) == "acme"


def test_a_project_cannot_revoke_anothers_key() -> None:
    key = KeyStore("acme").create("laptop")
    key_id = KeyStore("acme").list()[0].id

    with pytest.raises(NotFoundError):
        KeyStore("umbrella").revoke(key_id)

    assert KeyStore.project_of(key) == "acme"
