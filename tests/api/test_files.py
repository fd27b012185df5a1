"""`/v1/files`, through the official client."""

import io
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.factories import ROWS, a_file
from tests.in_process import in_process_http_client


def test_an_uploaded_file_is_listed_retrieved_and_read_back_byte_for_byte(
    client: OpenAI, tmp_path: Path
) -> None:
    path = tmp_path / "träin.jsonl"
    path.write_bytes(ROWS + b"\xff\x00 not UTF-8\r\n")

    file = client.files.create(file=path.open("rb"), purpose="fine-tune")

    assert (file.filename, file.purpose, file.status) == ("träin.jsonl", "fine-tune", "processed")
    assert file.bytes == path.stat().st_size
    assert client.files.retrieve(file.id) == file
    assert client.files.list().data == [file]
    assert client.files.content(file.id).read() == path.read_bytes()
    assert client.files.wait_for_processing(file.id) == file


@pytest.mark.parametrize("upload", [ROWS, io.BytesIO(ROWS), ("data", ROWS), ("a.JSONL", ROWS, "text/plain")])
def test_whatever_form_the_sdk_takes_a_file_in_is_accepted(client: OpenAI, upload: object) -> None:
    file = client.files.create(file=upload, purpose="fine-tune")  # pyright: ignore[reportArgumentType]

    assert client.files.content(file.id).read() == ROWS


def test_the_file_may_come_before_its_purpose_as_node_sends_it(client: OpenAI) -> None:
    boundary = "----formdata-undici-012345678901"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n{ROWS.decode()}\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        f"--{boundary}--\r\n"
    )

    response = in_process_http_client().post(
        "https://api.outcrop.test/v1/files",
        content=body,
        headers={
            "authorization": f"Bearer {client.api_key}",
            "content-type": f"multipart/form-data; boundary={boundary}",
        },
    )

    assert response.json()["purpose"] == "fine-tune"
    assert client.files.content(response.json()["id"]).read() == ROWS


def test_a_deleted_file_is_gone(client: OpenAI) -> None:
    file = client.files.create(file=("a.jsonl", ROWS), purpose="fine-tune")

    assert client.files.delete(file.id).deleted

    assert client.files.list().data == []
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=f"No such file: '{file.id}'"):
            call(file.id)


def test_files_are_listed_by_purpose_and_order(client: OpenAI) -> None:
    first = client.files.create(file=("a.jsonl", ROWS), purpose="fine-tune")
    other = client.files.create(file=("b.bin", b"x"), purpose="user_data")
    last = client.files.create(file=("c.jsonl", ROWS), purpose="fine-tune")

    assert client.files.list(purpose="fine-tune").data == [last, first]
    assert client.files.list(order="asc").data == [first, other, last]


def test_an_empty_file_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="the file is empty") as caught:
        client.files.create(file=("a.jsonl", b""), purpose="fine-tune")

    assert caught.value.param == "file"


@pytest.mark.parametrize("filename", ["a.csv", "a.json", "a.jsonl.txt"])
def test_a_file_to_train_on_that_is_not_jsonl_is_refused(client: OpenAI, filename: str) -> None:
    with pytest.raises(openai.BadRequestError, match=r"must be a \.jsonl file") as caught:
        client.files.create(file=(filename, ROWS), purpose="fine-tune")

    assert caught.value.param == "file"


def test_an_unknown_purpose_is_refused_with_those_there_are(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"'fine tune' is not one of .*fine-tune") as caught:
        client.files.create(file=("a.jsonl", ROWS), purpose="fine tune")  # pyright: ignore

    assert caught.value.param == "purpose"


def test_an_expiry_is_refused_instead_of_being_ignored(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="files do not expire") as caught:
        client.files.create(
            file=("a.jsonl", ROWS),
            purpose="fine-tune",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )

    assert caught.value.param == "expires_after"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"data": {"purpose": "fine-tune"}, "files": {"other": ("a.jsonl", ROWS)}}, "file"),
        ({"files": {"file": ("a.jsonl", ROWS)}}, "purpose"),
        ({"json": {"purpose": "fine-tune"}}, None),
        (
            {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            "file",
        ),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, None),
    ],
)
def test_a_form_that_is_not_complete_is_refused(
    client: OpenAI, form: dict[str, object], param: str | None
) -> None:
    http = in_process_http_client()
    http.headers["authorization"] = f"Bearer {client.api_key}"

    response = http.post("https://api.outcrop.test/v1/files", **form)  # pyright: ignore[reportArgumentType]

    assert response.status_code == httpx2.codes.BAD_REQUEST
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("limit", [0, 10_001])
def test_a_limit_out_of_range_is_refused(client: OpenAI, limit: int) -> None:
    with pytest.raises(openai.BadRequestError, match="limit: should be") as caught:
        client.files.list(limit=limit)

    assert caught.value.param == "limit"


def test_every_file_is_seen_once_however_small_the_pages_are(client: OpenAI) -> None:
    ids = [a_file().id for _ in range(7)]

    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(limit=3, order="asc")] == ids
