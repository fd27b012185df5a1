"""The OpenAPI document says what the API does: its routes, its objects, its scopes, its errors."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import openai.types
import openai.types.admin.organization.projects
import openai.types.chat
import openai.types.responses
import openai.types.uploads
import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator
from openai import OpenAI
from openai.types import fine_tuning
from openai.types.fine_tuning import alpha, checkpoints, jobs
from pydantic import BaseModel

from lambdas.api.handler import app
from lambdas.inference.app import _ENDPOINTS as ENDPOINTS
from lambdas.openapi.examples import EXAMPLES
from lambdas.openapi.operations import CONTROL_PLANE, INFERENCE
from tests.every_operation import DOCUMENT, OPERATIONS
from tests.in_process import in_process_http_client

Json = dict[str, Any]

SCHEMAS: dict[str, Json] = DOCUMENT["components"]["schemas"]

OPENAI_TYPES: dict[str, type[BaseModel]] = {
    "ChatCompletion": openai.types.chat.ChatCompletion,
    "ChatCompletionChunk": openai.types.chat.ChatCompletionChunk,
    "ChatCompletionDeleted": openai.types.chat.ChatCompletionDeleted,
    "CheckpointPermission": checkpoints.PermissionListResponse,
    "CheckpointPermissionDeleted": checkpoints.PermissionDeleteResponse,
    "Completion": openai.types.Completion,
    "FileDeleted": openai.types.FileDeleted,
    "FileObject": openai.types.FileObject,
    "FineTuningJob": fine_tuning.FineTuningJob,
    "FineTuningJobCheckpoint": jobs.FineTuningJobCheckpoint,
    "FineTuningJobEvent": fine_tuning.FineTuningJobEvent,
    "GraderRun": alpha.GraderRunResponse,
    "InputTokens": openai.types.responses.InputTokenCountResponse,
    "Model": openai.types.Model,
    "ModelDeleted": openai.types.ModelDeleted,
    "NewServiceAccount": openai.types.admin.organization.projects.ServiceAccountCreateResponse,
    "Project": openai.types.admin.organization.Project,
    "ProjectApiKey": openai.types.admin.organization.projects.ProjectAPIKey,
    "Response": openai.types.responses.Response,
    "ServiceAccount": openai.types.admin.organization.projects.ProjectServiceAccount,
    "Upload": openai.types.Upload,
    "UploadPart": openai.types.uploads.UploadPart,
    "ValidatedGrader": alpha.GraderValidateResponse,
}
"""What the SDK makes of our objects."""
OURS = {
    "FineTuningJob": {
        "attempt",
        "billed",
        "budget_usd",
        "interruptions",
        "pause_requested",
        "started_attempt",
        "base_revision",
        "training_job",
        "user_provided_suffix",
    },
    "ProjectApiKey": {"scopes"},
    "Response": {"store"},
}
"""Fields that the SDK's types do not have: OpenAI's undocumented ones and Outcrop's own."""
WIDER = {("FineTuningJob", "status"): {"paused"}}
"""Values that the SDK's types do not have."""


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_the_document_is_served_as_it_is_printed(client: OpenAI) -> None:
    key = {"authorization": f"Bearer {client.api_key}"}

    served = in_process_http_client().get("https://api.outcrop.test/v1/openapi.json", headers=key)
    printed = subprocess.run([sys.executable, "-m", "lambdas.openapi"], capture_output=True, check=True)

    assert served.json() == json.loads(printed.stdout) == DOCUMENT


def test_every_route_of_the_code_is_in_the_document_and_the_other_way_round() -> None:
    control_plane = {
        f"{route.method} {route.openapi_path}" for route in app._static_routes + app._dynamic_routes
    }
    streamed = {f"{method} {path}" for method, path, _ in ENDPOINTS}
    documented = {f"{operation['method']} {operation['path']}" for operation in OPERATIONS.values()}

    assert control_plane - {"GET /openapi.json"} == CONTROL_PLANE.keys()
    assert streamed - {"POST /responses/compact"} == INFERENCE.keys()
    patterns = {name: one.path for name, one in CONTROL_PLANE.items() if one.path}
    spelled = {f"{name.split()[0]} {patterns[name]}" if name in patterns else name for name in CONTROL_PLANE}
    assert documented == spelled | INFERENCE.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is_and_how_it_fails(name: str) -> None:
    operation = OPERATIONS[name]

    assert operation["summary"].endswith(".")
    assert operation["security"][0]["key"][0] in ("read", "write", "inference", "admin")
    assert {"200", "400", "401", "403", "429", "5XX"} <= operation["responses"].keys()
    assert ("404" in operation["responses"]) >= ("{" in name)
    assert ("409" in operation["responses"]) >= ("requestBody" in operation)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_fit_their_schemas(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}

    Draft202012Validator(schema).validate(EXAMPLES[name])


@pytest.mark.parametrize("name", OPENAI_TYPES)
def test_objects_have_the_fields_of_openais(name: str) -> None:
    fields = {info.alias or field: info for field, info in OPENAI_TYPES[name].model_fields.items()}
    required = {field for field, info in fields.items() if info.is_required()}

    nullable = {field for field in required if type(None) in get_args(fields[field].annotation)}
    assert required <= set(SCHEMAS[name]["required"]) | nullable
    assert SCHEMAS[name]["properties"].keys() <= fields.keys() | OURS.get(name, set())


@pytest.mark.parametrize("name", OPENAI_TYPES)
def test_objects_have_no_value_that_openais_have_not(name: str) -> None:
    for field, info in OPENAI_TYPES[name].model_fields.items():
        known = set(literals(info.annotation))
        said = set(values(SCHEMAS[name]["properties"].get(field, {})))
        if known:
            assert said - known == WIDER.get((name, field), set()), field


def literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for inner in get_args(annotation):
        yield from literals(inner)


def values(schema: Json) -> Iterator[Any]:
    yield from schema.get("enum", [])
    if "const" in schema:
        yield schema["const"]
    for inner in schema.get("anyOf", []):
        yield from values(inner)


def test_the_body_that_resuming_a_job_does_without_is_not_asked_for() -> None:
    optional = [
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        if operation.get("requestBody", {"required": True})["required"] is False
    ]

    assert optional == ["jobs_resume"]
