"""Every operation of the OpenAPI document, ready to be called:
`send(http, "jobs_cancel", key=key, job_id="ftjob-1")`."""

import re
from typing import Any
from urllib.parse import quote

import httpx

from lambdas.api.handler import app
from lambdas.openapi.document import document
from tests import factories

Json = dict[str, Any]

DOCUMENT = document(app)
OPERATIONS: dict[str, Json] = {
    operation["operationId"]: operation | {"method": method.upper(), "path": path}
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
"""By their ids; each with its method and path."""
SCOPES = {id: operation["security"][0]["key"][0] for id, operation in OPERATIONS.items()}

_MESSAGES = [{"role": "user", "content": "Well?"}]
BODIES: dict[str, Json] = {
    "chat_completions_create": {"model": "tiny-caps", "messages": _MESSAGES},
    "chat_completions_update": {"metadata": {"a": "b"}},
    "completions_create": {"model": "tiny-caps", "prompt": "Well?"},
    "graders_run": {
        "grader": factories.STRING_CHECK,
        "model_sample": "A",
        "item": {"reference_answer": "A"},
    },
    "graders_validate": {"grader": factories.STRING_CHECK},
    "jobs_create": {"model": "tiny-caps", "training_file": "file-1", "method": factories.METHOD},
    "jobs_resume": {"budget_usd": 100.0},
    "permissions_create": {"project_ids": ["umbrella"]},
    "projects_create": {"name": "other"},
    "responses_count_input_tokens": {"model": "tiny-caps", "input": "Well?"},
    "responses_create": {"model": "tiny-caps", "input": "Well?"},
    "service_accounts_create": {"name": "other"},
    "uploads_complete": {"part_ids": ["part_1"]},
    "uploads_create": {
        "bytes": len(factories.ROWS),
        "filename": "a.jsonl",
        "mime_type": "text/plain",
        "purpose": "fine-tune",
    },
}
"""A good body of each operation that takes JSON."""
FORMS: dict[str, tuple[dict[str, str], str]] = {
    "files_create": ({"purpose": "fine-tune"}, "file"),
    "uploads_add_part": ({}, "data"),
}
"""The fields and the name of the file of each operation that takes a form."""


def path_parameters(id: str) -> list[str]:
    return re.findall(r"{(\w+)}", OPERATIONS[id]["path"])


def send(
    http: httpx.Client,
    id: str,
    *,
    key: str | None = None,
    query: Json | None = None,
    body: Json | None = None,
    **path: str,
) -> httpx.Response:
    """The reply to operation `id` with a good body; `body` goes over it, `path` are the path's parameters."""
    names = {name: quote(path[name], safe=":") for name in path_parameters(id)}
    arguments: Json = {"params": query or {}}
    if id in FORMS:
        fields, file = FORMS[id]
        arguments |= {"data": fields, "files": {file: ("a.jsonl", factories.ROWS)}}
    elif id in BODIES:
        arguments["json"] = BODIES[id] | (body or {})
    if key is not None:
        arguments["headers"] = {"authorization": f"Bearer {key}"}
    return http.request(OPERATIONS[id]["method"], OPERATIONS[id]["path"].format(**names), **arguments)


def an_object_of_each_kind(http: httpx.Client, project: str, key: str) -> dict[str, str]:
    """Their ids, by the path parameters that take them."""
    job = factories.a_job(project=project, status="running")
    model = factories.a_tuned_model(project=project).id
    upload = send(http, "uploads_create", key=key).json()["id"]
    permission = send(http, "permissions_create", key=key, model=model, body={"project_ids": ["third"]})
    return {
        "checkpoint_id": factories.a_checkpoint(job).id,
        "completion_id": send(http, "chat_completions_create", key=key, body={"store": True}).json()["id"],
        "file_id": factories.a_file(project=project).id,
        "job_id": job.id,
        "model": model,
        "part_id": send(http, "uploads_add_part", key=key, upload_id=upload).json()["id"],
        "permission_id": permission.json()["data"][0]["id"],
        "response_id": send(http, "responses_create", key=key).json()["id"],
        "upload_id": upload,
    }
