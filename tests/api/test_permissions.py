"""`/v1/fine_tuning/checkpoints/{model}/permissions`: another project may use a model, and nothing else."""

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import openai
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from openai import OpenAI

from outcrop.operations import models
from outcrop.stores import clients
from outcrop.types.model import TunedModel
from tests.account import Account
from tests.api.wire import answered
from tests.conftest import ClientOf
from tests.factories import a_checkpoint, a_file, a_job, a_tuned_model
from tests.in_process import in_process_http_client


class RawBody(io.BytesIO):
    """As botocore reads a reply."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def a_shared_checkpoint(client: OpenAI, *projects: str) -> TunedModel:
    tuned = a_tuned_model()
    checkpoint = a_tuned_model(id=f"{tuned.id}:ckpt-step-10", kind="checkpoint", job_id=tuned.job_id)
    client.fine_tuning.checkpoints.permissions.create(checkpoint.id, project_ids=list(projects))
    return checkpoint


def permitted(client: OpenAI, model_id: str, **query: Any) -> list[str]:
    """The projects, page after page."""
    return [one.project_id for one in client.fine_tuning.checkpoints.permissions.list(model_id, **query)]


def refusal(client: OpenAI, call: Any, id: str) -> tuple[int, str]:
    """Status and body of the answer, with the id, which the caller knows, taken out."""
    with pytest.raises(openai.APIStatusError) as caught:
        call(client, id)
    return caught.value.status_code, caught.value.response.text.replace(id, "ID")


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_permissions_are_created_as_a_list(client: OpenAI, kind: str) -> None:
    model = a_tuned_model(kind=kind)

    created = client.fine_tuning.checkpoints.permissions.create(model.id, project_ids=["umbrella", "hooli"])

    assert [one.project_id for one in created.data] == ["umbrella", "hooli"]
    assert all(one.id.startswith("cp_") for one in created.data)
    assert permitted(client, model.id) == ["hooli", "umbrella"]


def test_a_permission_created_again_is_the_same_permission(client: OpenAI) -> None:
    model = a_tuned_model()
    create = client.fine_tuning.checkpoints.permissions.create

    first = create(model.id, project_ids=["umbrella"]).data
    again = create(model.id, project_ids=["hooli", "umbrella", "hooli"]).data

    assert again[1] == first[0]
    assert [one.project_id for one in again] == ["hooli", "umbrella"]
    assert len(permitted(client, model.id)) == 2


def test_permissions_are_listed_page_by_page_in_either_order(client: OpenAI) -> None:
    model = a_tuned_model()
    projects = [f"team-{n:02}" for n in range(25)]
    client.fine_tuning.checkpoints.permissions.create(model.id, project_ids=projects)

    page = client.fine_tuning.checkpoints.permissions.list(model.id)

    assert [one.project_id for one in page.data] == projects[:14:-1]
    assert (page.has_more, page.last_id) == (True, page.data[-1].id)
    assert permitted(client, model.id) == projects[::-1]
    assert permitted(client, model.id, order="ascending", limit=7) == projects
    assert permitted(client, model.id, project_id="team-03") == ["team-03"]
    assert permitted(client, model.id, project_id="nobody") == []


def test_deleting_what_is_being_listed_skips_nothing(client: OpenAI) -> None:
    model = a_tuned_model()
    permissions = client.fine_tuning.checkpoints.permissions
    permissions.create(model.id, project_ids=[f"team-{n}" for n in range(9)])

    deleted = [
        permissions.delete(one.id, fine_tuned_model_checkpoint=model.id)
        for one in permissions.list(model.id, limit=2)
    ]

    assert len(deleted) == 9
    assert permitted(client, model.id) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_deprecated_retrieve_answers_a_page(client: OpenAI) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")

    page = client.fine_tuning.checkpoints.permissions.retrieve(checkpoint.id)  # pyright: ignore[reportDeprecated]

    assert [one.project_id for one in page.data] == ["umbrella"]
    assert page.first_id == page.last_id == page.data[0].id


def test_a_permitted_project_can_use_and_see_the_model(client: OpenAI, client_of: ClientOf) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")
    umbrella = client_of("umbrella")

    served = models.resolve(checkpoint.id, "umbrella")

    assert served == models.resolve(checkpoint.id, "acme")
    assert umbrella.models.retrieve(checkpoint.id).owned_by == "acme"
    assert [model.id for model in umbrella.models.list() if model.owned_by == "acme"] == [checkpoint.id]


def test_a_permission_is_for_that_project_and_that_checkpoint_alone(
    client: OpenAI, client_of: ClientOf
) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")

    for project, model_id in (
        ("hooli", checkpoint.id),
        ("umbrella", checkpoint.id.partition(":ckpt")[0]),
    ):
        with pytest.raises(openai.NotFoundError):
            client_of(project).models.retrieve(model_id)


MODEL_CALLS: dict[str, Any] = {
    "create": lambda client, id: client.fine_tuning.checkpoints.permissions.create(id, project_ids=["hooli"]),
    "list": lambda client, id: client.fine_tuning.checkpoints.permissions.list(id),
    "delete": lambda client, id: client.fine_tuning.checkpoints.permissions.delete(
        "cp_000000000000000000000000", fine_tuned_model_checkpoint=id
    ),
    "models.delete": lambda client, id: client.models.delete(id),
}


@pytest.mark.parametrize("project", ["umbrella", "hooli"])
@pytest.mark.parametrize("name", MODEL_CALLS)
def test_to_all_but_the_owner_the_model_is_unknown(
    client: OpenAI, client_of: ClientOf, name: str, project: str
) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")
    other = client_of(project)

    answer = refusal(other, MODEL_CALLS[name], checkpoint.id)

    assert answer[0] == 404
    assert answer == refusal(other, MODEL_CALLS[name], "ft:tiny-caps:acme:caps:00000000")
    assert permitted(client, checkpoint.id) == ["umbrella"]


def test_a_permission_shows_nothing_of_the_job(client: OpenAI, client_of: ClientOf) -> None:
    file = a_file()
    job = a_job(status="succeeded", training_file=file.id)
    checkpoint = a_checkpoint(job)
    model = a_tuned_model(id=checkpoint.fine_tuned_model_checkpoint, kind="checkpoint", job_id=job.id)
    client.fine_tuning.checkpoints.permissions.create(model.id, project_ids=["umbrella"])
    umbrella = client_of("umbrella")

    assert umbrella.fine_tuning.jobs.list().data == []
    assert umbrella.files.list().data == []
    for call in (
        lambda: umbrella.fine_tuning.jobs.retrieve(job.id),
        lambda: umbrella.fine_tuning.jobs.checkpoints.list(job.id),
        lambda: umbrella.fine_tuning.jobs.list_events(job.id),
        lambda: umbrella.files.retrieve(file.id),
    ):
        with pytest.raises(openai.NotFoundError):
            call()


def test_a_revoked_permission_ends_at_once(client: OpenAI, client_of: ClientOf) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella", "hooli")
    permissions = client.fine_tuning.checkpoints.permissions
    [permission] = permissions.list(checkpoint.id, project_id="umbrella").data

    deleted = permissions.delete(permission.id, fine_tuned_model_checkpoint=checkpoint.id)

    assert (deleted.id, deleted.deleted) == (permission.id, True)
    with pytest.raises(openai.NotFoundError):
        client_of("umbrella").models.retrieve(checkpoint.id)
    assert all(model.owned_by == "outcrop" for model in client_of("umbrella").models.list())
    assert client_of("hooli").models.retrieve(checkpoint.id).id == checkpoint.id
    assert permitted(client, checkpoint.id) == ["hooli"]


def test_a_permission_given_anew_after_a_revocation_works(client: OpenAI, client_of: ClientOf) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")
    permissions = client.fine_tuning.checkpoints.permissions
    [first] = permissions.list(checkpoint.id).data
    permissions.delete(first.id, fine_tuned_model_checkpoint=checkpoint.id)

    [second] = permissions.create(checkpoint.id, project_ids=["umbrella"]).data

    assert second.id != first.id
    assert client_of("umbrella").models.retrieve(checkpoint.id).id == checkpoint.id


def test_a_repeated_delete_whose_reply_was_lost_succeeds(client: OpenAI) -> None:
    checkpoint = a_shared_checkpoint(client, "umbrella")
    permissions = client.fine_tuning.checkpoints.permissions
    [permission] = permissions.list(checkpoint.id).data
    permissions.delete(permission.id, fine_tuned_model_checkpoint=checkpoint.id)

    again = permissions.delete(
        permission.id,
        fine_tuned_model_checkpoint=checkpoint.id,
        extra_headers={"x-stainless-retry-count": "1"},
    )

    assert again.deleted
    with pytest.raises(openai.NotFoundError, match="No such checkpoint permission"):
        permissions.delete(permission.id, fine_tuned_model_checkpoint=checkpoint.id)


@pytest.mark.parametrize(
    ("project_ids", "message"),
    [
        (["Umbrella"], "project_ids: 'Umbrella' is not the id of a project: 1 to 32 lower-case letters"),
        (["umbrella", ""], "project_ids: '' is not the id of a project"),
        (["umbrella#1"], "is not the id of a project"),
        (["acme"], "project_ids: 'acme' has this model; it needs no permission"),
        ([], "project_ids: list should have at least 1 item"),
    ],
)
def test_a_bad_project_id_is_refused_and_nothing_is_permitted(
    client: OpenAI, project_ids: list[str], message: str
) -> None:
    model = a_tuned_model()

    with pytest.raises(openai.BadRequestError, match=rf"(?i){message}") as caught:
        client.fine_tuning.checkpoints.permissions.create(model.id, project_ids=project_ids)

    assert caught.value.param == "project_ids"
    assert permitted(client, model.id) == []


@pytest.mark.parametrize("model_id", ["ft:tiny-caps:acme:caps:00000000", "tiny-caps", "a/b", "x" * 2000])
def test_what_is_no_tuned_model_has_no_permissions(client: OpenAI, model_id: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.checkpoints.permissions.list(model_id)

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"order": "asc"}, {"after": "after"}, {"after": ""}]
)
def test_a_bad_query_is_refused(client: OpenAI, query: dict[str, Any]) -> None:
    model = a_tuned_model()

    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.checkpoints.permissions.list(model.id, extra_query=query)

    assert caught.value.param == next(iter(query))


@pytest.mark.parametrize("safe", [":/", ":", "/", ""])
@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_ids_arrive_raw_or_escaped(client: OpenAI, safe: str, prefix: str) -> None:
    model = a_tuned_model(id="ft:maker/tiny:acme:caps:00000000")
    path = f"{prefix}/fine_tuning/checkpoints/{quote(model.id, safe=safe)}/permissions"
    http = httpx2.Client(
        transport=in_process_http_client()._transport,
        base_url="https://api.outcrop.test",
        headers={"authorization": f"Bearer {client.api_key}"},
    )

    [created] = http.post(path, json={"project_ids": ["umbrella"]}).json()["data"]
    deleted = http.delete(f"{path}/{created['id']}").json()

    assert deleted == {"id": created["id"], "object": "checkpoint.permission", "deleted": True}


def test_two_owners_who_permit_the_same_at_once_both_succeed(aws: Account, client: OpenAI) -> None:
    """DynamoDB refuses a transaction that meets another on its rows; moto has no such conflicts."""
    model = a_tuned_model()
    refused: list[str] = []

    def conflict(**_: Any) -> Any:
        if len(refused) == 3:
            return None
        refused.append("TransactionConflict")
        body = {
            "__type": "TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
        }
        return AWSResponse("", 400, HTTPHeaders(), RawBody(json.dumps(body).encode()))

    event = "before-send.dynamodb.TransactWriteItems"
    with answered(clients.dynamodb_table().meta.client, event, conflict):
        created = client.fine_tuning.checkpoints.permissions.create(model.id, project_ids=["umbrella"])

    assert len(refused) == 3
    assert permitted(client, model.id) == [one.project_id for one in created] == ["umbrella"]
