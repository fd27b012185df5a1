"""A multipart/form-data body: its fields as text, its files as name and bytes, in any order."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from outcrop.errors import APIError

_IN_MEMORY = {"MAX_MEMORY_FILE_SIZE": float("inf")}


@dataclass
class UploadedFile:
    filename: str
    content: bytes


@dataclass
class Form:
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, UploadedFile] = field(default_factory=dict)


def body_of(event: BaseProxyEvent) -> bytes:
    """The request's body as it was sent."""
    body = event.body or ""
    return base64.b64decode(body) if event.is_base64_encoded else body.encode()


def parse_form(event: BaseProxyEvent) -> Form:
    """Raises: APIError for anything that is not a complete multipart/form-data body."""
    content_type, options = parse_options_header(event.headers.get("content-type"))
    if content_type != b"multipart/form-data" or b"boundary" not in options:
        raise APIError("Content-Type: this request takes multipart/form-data with a boundary.")
    fields: dict[str, str] = {}
    files: dict[str, UploadedFile] = {}

    def on_field(part: Field) -> None:
        fields[_text(part.field_name)] = _text(part.value)

    def on_file(part: File) -> None:
        part.file_object.seek(0)
        files[_text(part.field_name)] = UploadedFile(_text(part.file_name), part.file_object.read())

    try:
        parser = FormParser(
            "multipart/form-data", on_field, on_file, boundary=options[b"boundary"], config=_IN_MEMORY
        )
        parser.write(body_of(event))
        parser.finalize()
    except FormParserError as error:
        raise APIError(f"The request body is not valid multipart/form-data: {error}") from error
    return Form(fields, files)


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
