"""AWS calls that each operation costs, counted: `python -m benchmarks.aws_calls` prints a table.

The whole API runs on loopback, on an emulated account; botocore's hooks count. The authorizer's one GetItem
is left out: API Gateway keeps its answer for a minute.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from outcrop.stores.keys import KeyStore
from tests import factories
from tests.account import Account, emulated_account, make_clients_anew
from tests.every_operation import OPERATIONS, SCOPES, an_object_of_each_kind, path_parameters, send
from tests.scripted_model_server import app as model_server
from tests.whole_api import served, whole_api

DEARER = {"uploads_complete": 11}
"""Puts the parts of a small file together within the request, which is worth its calls: no one waits for a
workflow."""


def main() -> None:
    print("| operation | calls | budget | which |\n|---|---|---|---|")
    for id, calls in calls_of_every_operation().items():
        which = ", ".join(f"{n} {call}" for call, n in sorted(calls.items()))
        call = f"{OPERATIONS[id]['method']} {OPERATIONS[id]['path']}"
        print(f"| `{call}` | {calls.total()} | {budget(id)} | {which} |")


def budget(id: str) -> int:
    """Calls that an operation may cost; one that asks a model, beside asking it."""
    if OPERATIONS[id]["method"] == "GET":
        return 2
    return DEARER.get(id, 3 if SCOPES[id] == "inference" else 5)


def calls_of_every_operation() -> dict[str, Counter[str]]:
    """By operation; each is called once with what it needs, and answers well."""
    made: Counter[str] = Counter()
    counted: dict[str, Counter[str]] = {}
    with (
        emulated_account() as account,
        _counting(account, made),
        served(model_server) as model_server_url,
        whole_api(f"{model_server_url}/v1") as url,
        httpx.Client(base_url=f"{url}/v1", trust_env=False, timeout=60) as http,
    ):
        keys = {"admin": KeyStore("admin").create("admin")}
        key = KeyStore(factories.PROJECT).create("benchmark")
        send(http, "projects_list", key=keys["admin"])  # the authorizer has seen both from now on
        for id, scope in SCOPES.items():
            call = good_call(http, id, key)
            made.clear()
            reply = send(http, id, key=keys.get(scope, key), **call)
            counted[id] = Counter(made)
            if reply.status_code != httpx.codes.OK:
                raise RuntimeError(f"{id} answered {reply.status_code}: {reply.text}")
    return counted


def good_call(http: httpx.Client, id: str, key: str) -> dict[str, Any]:
    """What operation `id` needs to do what it is for: ids for its path, and what its body must name."""
    ids = an_object_of_each_kind(http, factories.PROJECT, key) | {"project_id": factories.PROJECT}
    bodies = {
        "jobs_create": {"training_file": ids["file_id"], "validation_file": ids["file_id"]},
        "responses_create": {"previous_response_id": ids["response_id"]},
        "uploads_complete": {"part_ids": [ids["part_id"]]},
        "chat_completions_create": {"store": True},
    }
    if id == "jobs_resume":
        ids["job_id"] = factories.a_job(status="paused").id
    if id == "uploads_add_part":
        ids["upload_id"] = send(http, "uploads_create", key=key).json()["id"]
    if id == "responses_cancel":
        ids["response_id"] = send(http, "responses_create", key=key, body={"background": True}).json()["id"]
    if "key_id" in path_parameters(id) or "account_id" in path_parameters(id):
        KeyStore(factories.PROJECT).create("another")
        ids["key_id"] = ids["account_id"] = KeyStore(factories.PROJECT).list(limit=1).data[0].id
    call: dict[str, Any] = {name: ids[name] for name in path_parameters(id)}
    return call | ({"body": bodies[id]} if id in bodies else {})


@contextmanager
def _counting(account: Account, made: Counter[str]) -> Iterator[None]:
    count = partial(_count, made)
    account.session.events.register("provide-client-params", count)
    make_clients_anew()
    yield
    account.session.events.unregister("provide-client-params", count)
    make_clients_anew()


def _count(made: Counter[str], event_name: str, **_: object) -> None:
    """`provide-client-params.dynamodb.GetItem`: one call."""
    made[event_name.removeprefix("provide-client-params.")] += 1


if __name__ == "__main__":
    main()
