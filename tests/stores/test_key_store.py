"""API keys: shown once, stored as a hash, good for one project, until revoked or expired."""

import string
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from outcrop import ids
from outcrop.errors import APIError, NotFoundError
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.keys import USED_EVERY_SECONDS, KeyStore
from outcrop.stores.projects import ProjectStore
from outcrop.types.api_key import ALL_SCOPES, ApiKey, Scope
from tests.api.wire import answered


def opens(key: str) -> str | None:
    """The project a key opens."""
    found = KeyStore.find(key)
    return found.project if found else None


@pytest.mark.parametrize("project", ["a", "acme", "team-a-2", "0", "a" * 32])
def test_a_key_opens_its_project(project: str) -> None:
    key = KeyStore(project).create("laptop")

    assert key.startswith(f"sk-outcrop-{project}-")
    found = KeyStore.find(key)
    assert found is not None
    assert (found.project, found.name, found.last4) == (project, "laptop", key[-4:])
    assert tuple(found.scopes) == ALL_SCOPES


def test_projects_whose_names_begin_alike_do_not_open_each_other() -> None:
    key = KeyStore("team").create("one")
    KeyStore("team-a").create("two")
    secret = key.rpartition("-")[2]

    assert opens(f"sk-outcrop-team-a-{secret}") is None
    assert opens(key) == "team"


@pytest.mark.parametrize("project", ["", "A", "a b", "a#b", "-a", "a-", "a" * 33, "a/b", "ä", "a\n"])
def test_a_name_that_no_key_could_carry_is_refused(project: str) -> None:
    with pytest.raises(APIError, match="project"):
        KeyStore(project)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key.upper(),
        lambda key: f" {key}",
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key[:-48] + "0" * 48,
    ],
)
def test_a_key_that_is_nearly_right_opens_nothing(change: Callable[[str], str]) -> None:
    key = KeyStore("acme").create("laptop")

    assert opens(change(key)) is None


@pytest.mark.parametrize(
    "key", ["", "sk-outcrop-", "sk-outcrop-acme-", "sk-outcrop-acme-" + "0" * 72, "My API Key", "ü" * 2000]
)
def test_what_is_no_key_opens_nothing(key: str) -> None:
    assert opens(key) is None


@pytest.mark.parametrize("brought", [None, "My API Key"])
def test_the_key_itself_is_nowhere_in_the_table(brought: str | None) -> None:
    key = KeyStore("acme").create("laptop")
    if brought:
        KeyStore("acme").adopt(brought, "theirs")

    rows = str(boto3.client("dynamodb").scan(TableName="outcrop-table")["Items"])

    assert key[-48:] not in rows
    assert "My API Key" not in rows


def test_a_key_is_found_in_one_consistent_read() -> None:
    key = KeyStore("acme").create("laptop")
    calls: list[str] = []

    def note(model: Any, params: Any, **_: Any) -> None:
        calls.append(f"{model.name} {params['body']!r}")

    with answered(dynamodb_table().meta.client, "before-call.dynamodb.*", note):
        KeyStore.find(key)

    (call,) = calls
    assert call.startswith("GetItem")
    assert '"ConsistentRead": true' in call


def test_a_revoked_key_opens_nothing_and_the_others_still_do() -> None:
    kept, revoked = KeyStore("acme").create("kept"), KeyStore("acme").create("revoked")
    listed = next(key for key in KeyStore("acme").list().data if key.name == "revoked")
    assert listed.last4 == revoked[-4:]

    KeyStore("acme").revoke(listed.id)

    assert opens(revoked) is None
    assert opens(kept) == "acme"
    assert [key.name for key in KeyStore("acme").list().data] == ["kept"]
    with pytest.raises(NotFoundError):
        KeyStore("acme").revoke(listed.id)


@pytest.mark.parametrize("key_id", ["", "0", "key_", "key_" + "0" * 24, "k" * 2000])
def test_a_key_that_is_not_there_cannot_be_revoked(key_id: str) -> None:
    key = KeyStore("acme").create("laptop")

    with pytest.raises(NotFoundError):
        KeyStore("acme").revoke(key_id)

    assert opens(key) == "acme"


def test_a_project_cannot_revoke_anothers_key() -> None:
    key = KeyStore("acme").create("laptop")
    key_id = KeyStore("acme").list().data[0].id

    with pytest.raises(NotFoundError):
        KeyStore("umbrella").revoke(key_id)

    assert opens(key) == "acme"


def test_a_key_opens_nothing_from_the_second_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    expires_at = ids.now() + 60
    key = KeyStore("acme").create("short-lived", expires_at=expires_at)
    assert opens(key) == "acme"

    monkeypatch.setattr("outcrop.stores.keys.now", lambda: expires_at)

    assert opens(key) is None
    assert KeyStore("acme").list().data[0].expires_at == expires_at


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ([], ["read", "write", "inference"]),
        (["inference"], ["inference"]),
        (["write", "read"], ["read", "write"]),
    ],
)
def test_a_key_has_the_scopes_that_were_asked_for(asked: list[Scope], granted: list[Scope]) -> None:
    found = KeyStore.find(KeyStore("acme").create("laptop", scopes=asked))

    assert found is not None
    assert found.scopes == granted


def test_a_key_of_a_project_cannot_be_an_admin_key_nor_the_other_way_round() -> None:
    with pytest.raises(APIError, match="'acme' may have read, write, inference"):
        KeyStore("acme").create("laptop", scopes=["admin"])
    with pytest.raises(APIError, match="'admin' may have admin"):
        KeyStore("admin").create("laptop", scopes=["read"])

    found = KeyStore.find(KeyStore("admin").create("laptop"))
    assert found is not None
    assert found.scopes == ["admin"]


def test_keys_are_listed_newest_first_page_by_page_even_as_they_are_revoked() -> None:
    store = KeyStore("acme")
    made = [store.create(f"key {i}") for i in range(5)]

    seen: list[ApiKey] = []
    after, more = None, True
    while more:
        page = store.list(after=after, limit=2)
        seen += page.data
        for key in page.data:
            store.revoke(key.id)
        after, more = page.last_id, page.has_more

    assert [key.last4 for key in seen] == [key[-4:] for key in reversed(made)]


def test_use_of_a_key_is_noted_every_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore("acme")
    text = store.create("laptop")
    noted: list[int | None] = []

    for at in (1_000, 1_000 + USED_EVERY_SECONDS - 1, 1_000 + USED_EVERY_SECONDS):
        monkeypatch.setattr("outcrop.stores.keys.now", lambda at=at: at)
        found = KeyStore.find(text)
        assert found is not None
        store.used(found)
        noted.append(store.get(found.id).last_used_at)

    assert noted == [1_000, 1_000, 1_000 + USED_EVERY_SECONDS]


def test_use_of_a_key_revoked_meanwhile_does_not_bring_it_back() -> None:
    store = KeyStore("acme")
    found = KeyStore.find(store.create("laptop"))
    assert found is not None
    store.revoke(found.id)

    store.used(found)

    assert store.list().data == []


def test_use_of_a_key_never_fails_its_caller() -> None:
    store = KeyStore("acme")
    found = KeyStore.find(store.create("laptop"))
    assert found is not None
    dynamodb_table().delete()

    store.used(found)


@pytest.mark.parametrize(
    "brought", ["My API Key", "sk-proj-0123456789abcdefghij", "x" * 256, string.punctuation]
)
def test_a_key_that_is_brought_along_opens_its_project_until_it_is_revoked(brought: str) -> None:
    known = KeyStore("acme").adopt(brought, "theirs", scopes=["read"])
    found = KeyStore.find(brought)
    assert found is not None and found == known
    assert (found.project, found.name, found.scopes) == ("acme", "theirs", ["read"])

    KeyStore("acme").revoke(known.id)

    assert opens(brought) is None
    assert boto3.client("dynamodb").scan(TableName="outcrop-table")["Count"] == 1  # the project itself


def test_a_short_key_that_is_brought_along_shows_nothing_of_itself() -> None:
    assert KeyStore("acme").adopt("My API Key", "theirs").last4 == ""
    assert KeyStore("acme").adopt("a key long enough to show some of", "theirs").last4 == "e of"


def test_bringing_a_key_again_changes_nothing() -> None:
    first = KeyStore("acme").adopt("My API Key", "theirs")

    assert KeyStore("acme").adopt("My API Key", "theirs") == first
    assert len(KeyStore("acme").list().data) == 1


def test_a_key_opens_one_thing_only() -> None:
    KeyStore("acme").adopt("My API Key", "theirs")

    with pytest.raises(APIError, match="opens something else already"):
        KeyStore("umbrella").adopt("My API Key", "also theirs")
    with pytest.raises(APIError, match="opens something else already"):
        KeyStore("acme").adopt("My API Key", "theirs", scopes=["read"])
    with pytest.raises(APIError, match="may have read"):
        KeyStore("umbrella").adopt("another key", "theirs", scopes=["admin"])
    KeyStore("acme").adopt("another key", "theirs")

    assert opens("My API Key") == "acme"
    assert KeyStore("umbrella").list().data == []


def test_bringing_a_key_that_was_cut_off_half_way_is_finished_by_another_try() -> None:
    known = KeyStore("acme").adopt("My API Key", "theirs")
    dynamodb_table().delete_item(Key={"pk": "P#acme#KEY", "sk": known.id})
    assert opens("My API Key") is None

    KeyStore("acme").adopt("My API Key", "theirs")

    assert opens("My API Key") == "acme"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "1234567",
        "x" * 257,
        " padded key",
        "padded key ",
        "line\nbreak",
        "tab\tstop",
        "umlaut-ä-key",
    ],
)
def test_a_text_that_cannot_be_a_bearer_key_is_refused(text: str) -> None:
    with pytest.raises(APIError, match="8 to 256 printable ASCII characters"):
        KeyStore("acme").adopt(text, "theirs")


def test_a_key_made_here_cannot_be_brought_along() -> None:
    with pytest.raises(APIError, match="is made here"):
        KeyStore("umbrella").adopt(KeyStore("acme").create("laptop"), "theirs")


def test_projects_are_those_that_have_had_a_key_by_name() -> None:
    for project in ("beta", "acme", "beta", "admin"):
        KeyStore(project).create("laptop")

    assert [project.id for project in ProjectStore().list().data] == ["acme", "beta"]
    with pytest.raises(NotFoundError):
        ProjectStore().get("admin")
