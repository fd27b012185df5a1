"""`/v1/files`."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.api.caller import caller
from lambdas.api.multipart import parse_form
from outcrop.errors import APIError
from outcrop.operations import files
from outcrop.stores.rows import Order
from outcrop.types.file import FileDeleted, FileObject
from outcrop.types.page import Page

router = APIGatewayRouter()


@router.post("/files")
def create() -> FileObject:
    form = parse_form(router.current_event)
    if "file" not in form.files:
        raise APIError("file: this field is required, as a file.", param="file")
    if "purpose" not in form.fields:
        raise APIError("purpose: this field is required.", param="purpose")
    if any(name.startswith("expires_after") for name in form.fields):
        raise APIError("expires_after: files do not expire here; delete them instead.", param="expires_after")
    file = form.files["file"]
    return files.create(file.filename, file.content, form.fields["purpose"], project=caller(router))


@router.get("/files")
def list_files(
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Order = "desc",
    purpose: str | None = None,
) -> Page[FileObject]:
    return files.list(after=after, limit=limit, order=order, purpose=purpose, project=caller(router))


@router.get("/files/<file_id>")
def retrieve(file_id: str) -> FileObject:
    return files.retrieve(file_id, caller(router))


@router.delete("/files/<file_id>")
def delete(file_id: str) -> FileDeleted:
    return files.delete(file_id, caller(router))


@router.get("/files/<file_id>/content", enable_validation=False)  # which would read the bytes as text
def content(file_id: str) -> Response[bytes]:
    return Response(200, "application/octet-stream", files.content(file_id, caller(router)))
