"""The API's OpenAPI 3.1 document, made from the code: routes, parameters and bodies are those that validate
requests, replies those that are sent.

The api function's part comes from its typed routes, by way of Powertools. What Powertools supposes about
errors is not how this API answers, so that is said here, and so is what every reply carries."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from lambdas.openapi.examples import EXAMPLES
from lambdas.openapi.operations import CONTROL_PLANE, INFERENCE, MAKERS, Json
from lambdas.openapi.replies import ELSEWHERE, ERRORS, SCHEMAS
from outcrop.operations import scopes
from outcrop.types.response import Response

Types = Mapping[Any, Json]
"""References to the schemas of types."""

_COMPONENT = "#/components/schemas/"
_ABOUT = (
    "Reinforcement fine-tuning of open-weight models in your own AWS account, behind the OpenAI fine-tuning "
    "API. All operations answer below `/openai/v1` as well. Request fields that are not listed are ignored; "
    "values that would change the result and are not supported are refused."
)
_ANYWHERE = ("400", "401", "403", "414", "429", "431", "5XX")
"""How every operation may fail."""
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `sk-outcrop-...`; an operation names the scope that its key needs.",
}
_REQUEST_ID = {
    "x-request-id": {"description": "Names this request in the logs.", "schema": {"type": "string"}}
}


def document(app: APIGatewayRestResolver) -> Json:
    """Of the api function `app` and the inference function."""
    generated = orjson.loads(app.get_openapi_json_schema())
    types, more_schemas = _types()
    schemas: dict[str, Json] = generated["components"]["schemas"] | more_schemas | SCHEMAS
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(name, None)  # Powertools' own errors, which `answers` turns into ours
    paths: dict[str, Json] = {}
    for method, path, operation in [*_control_plane(generated["paths"], types), *_inference(types)]:
        paths.setdefault(path, {})[method] = operation
    _link(paths)
    _complete_replies(paths, schemas)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Outcrop", "version": "0.1.0", "description": _ABOUT},
        "servers": [{"url": "/v1"}, {"url": "/openai/v1"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(ERRORS.values()),
            "securitySchemes": {"key": _KEY},
        },
    }
    return orjson.loads(_readable(orjson.dumps(whole)))


def _control_plane(routes: Json, types: Types) -> Iterator[tuple[str, str, Json]]:
    """Method, path and operation of each route, as Powertools describes them."""
    for route_path, methods in routes.items():
        for method, route in methods.items():
            described = CONTROL_PLANE[f"{method.upper()} {route_path}"]
            path = described.path or route_path
            operation = _operation(method, path, described.id, described.summary)
            operation["parameters"] += route.get("parameters", ())
            operation["parameters"] += described.queries
            _add_path_parameters(operation, path)
            content = dict(route.get("requestBody", {}).get("content", {}))
            if described.form is not None:
                content["multipart/form-data"] = {"schema": described.form}
            if described.request is not None:
                content["application/json"] = {"schema": types[described.request]}
            if content:
                _add_body(operation, content, is_optional=_is_optional(content))
            _add_reply(operation, described.reply or route["responses"]["200"]["content"])
            if described.redirects:
                operation["responses"]["302"] = ELSEWHERE
            yield method, path, operation


def _inference(types: Types) -> Iterator[tuple[str, str, Json]]:
    for name, described in INFERENCE.items():
        method, path = name.split()
        operation = _operation(method, path, described.id, described.summary)
        operation["parameters"] += described.queries
        _add_path_parameters(operation, path)
        if described.request is not None:
            _add_body(operation, {"application/json": {"schema": types[described.request]}})
        _add_reply(operation, described.reply)
        yield method.lower(), path, operation


def _types() -> tuple[Types, dict[str, Json]]:
    """References to the types that Powertools does not know, and all schemas that these need."""
    asked = [one.request for one in (*CONTROL_PLANE.values(), *INFERENCE.values()) if one.request]
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (one, "validation") for one in dict.fromkeys(asked)
    ]
    modes.append((Response, "serialization"))
    references, definitions = models_json_schema(modes, ref_template=_COMPONENT + "{model}")
    return {one: reference for (one, _), reference in references.items()}, definitions["$defs"]


def _readable(document: bytes) -> bytes:
    """With pydantic's names for pages (`Page_File_`) and for types of one name (`outcrop__types__chat__Tool`)
    as a person would name them."""
    document = re.sub(rb'\bPage_(\w+)_(?=")', rb"\1List", document)
    return re.sub(
        rb'\boutcrop__types__(\w+)__(\w+)(?=")',
        lambda found: found[1].title().replace(b"_", b"") + found[2],
        document,
    )


def _operation(method: str, path: str, id: str, summary: str) -> Json:
    return {
        "operationId": id,
        "summary": summary,
        "tags": [path.split("/")[1]],
        "security": [{"key": [scopes.needed(method.upper(), path)]}],
        "parameters": [],
        "responses": {kind: _error(kind) for kind in _ANYWHERE},
    }


def _add_path_parameters(operation: Json, path: str) -> None:
    declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
    for name in re.findall(r"{(\w+)}", path):
        operation["responses"]["404"] = _error("404")
        if name not in declared:
            place = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            operation["parameters"].append(place)


def _is_optional(content: Json) -> bool:
    """Whether a route that takes this body does without."""
    schema = content.get("application/json", {}).get("schema", {})
    return {"type": "null"} in schema.get("anyOf", ())


def _add_body(operation: Json, content: Json, *, is_optional: bool = False) -> None:
    operation["requestBody"] = {"required": not is_optional, "content": content}
    operation["responses"] |= {kind: _error(kind) for kind in ("404", "409", "413", "415")}


def _add_reply(operation: Json, content: Json) -> None:
    good = {"description": "Done.", "headers": _REQUEST_ID, "content": content}
    operation["responses"] = {"200": good, **dict(sorted(operation["responses"].items()))}


def _error(status: str) -> Json:
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def _link(paths: Mapping[str, Json]) -> None:
    """Say of each operation that makes something where its id can be used."""
    operations = {one["operationId"]: one for methods in paths.values() for one in methods.values()}
    for path, methods in paths.items():
        names = re.findall(r"{(\w+)}", path)
        if len(names) != 1 or names[0] not in MAKERS:
            continue
        made = operations[MAKERS[names[0]]]["responses"]["200"]
        for operation in methods.values():
            made.setdefault("links", {})[operation["operationId"]] = {
                "operationId": operation["operationId"],
                "parameters": {names[0]: "$response.body#/id"},
            }


def _complete_replies(paths: Mapping[str, Json], schemas: Mapping[str, Json]) -> None:
    """A reply has the fields that have a default too (`object`, `has_more`); a request need not."""
    operations = [one for methods in paths.values() for one in methods.values()]
    asked = _reachable([one.get("requestBody") for one in operations], schemas)
    answered = _reachable([one["responses"]["200"] for one in operations], schemas)
    for name in answered - asked:
        fields = schemas[name].get("properties", {})
        filled = {field for field, schema in fields.items() if schema.get("default") is not None}
        schemas[name]["required"] = [
            field for field in fields if field in filled or field in schemas[name].get("required", ())
        ]


def _reachable(start: Any, schemas: Mapping[str, Json]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)} if reference.startswith(_COMPONENT):
                name = reference.removeprefix(_COMPONENT)
                if name not in found:
                    found.add(name)
                    waiting.append(schemas[name])
            case dict(inner):
                waiting += inner.values()
            case list(inner):
                waiting += inner
    return found
