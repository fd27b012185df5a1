"""docs/api.md says what the code does: every route, every field, every error code, and nothing else. The
other pages name every command and every check, and their links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types import completion_create_params, file_create_params, upload_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.fine_tuning import job_create_params
from openai.types.responses import response_create_params

from outcrop.cli.main import app
from outcrop.types.method import ReinforcementHyperparameters
from scripts.verify_deployment import CHECKS
from stacks.gateway_errors import GATEWAY_ERRORS
from tests.every_operation import DOCUMENT, OPERATIONS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/api.md").read_text()
DOORS = ("outcrop", "lambdas")
SHARED = {"POST /responses/input_tokens"}
"""Operations whose fields stand with another's."""
OPENAI_FIELDS: dict[str, Any] = {
    "POST /chat/completions": chat_create_params.CompletionCreateParamsBase,
    "POST /completions": completion_create_params.CompletionCreateParamsBase,
    "POST /files": file_create_params.FileCreateParams,
    "POST /fine_tuning/jobs": job_create_params.JobCreateParams,
    "POST /responses": response_create_params.ResponseCreateParamsBase,
    "POST /uploads": upload_create_params.UploadCreateParams,
}


def section(title: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = "##" if f"\n## {title}\n" in PAGE else "###"
    after = PAGE.split(f"\n{level} {title}\n", 1)[1]
    return re.split(rf"\n#{{2,{len(level)}}} ", after)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in a text, without their heads."""
    for line in re.sub(r"^\|.*\|\n\|[-|]+\|$", "", text, flags=re.MULTILINE).splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def fields_of(operation: dict[str, Any]) -> set[str]:
    """What the operation's body may hold, in any of its forms."""
    found: set[str] = set()
    for media in operation["requestBody"]["content"].values():
        schema = media["schema"]
        schema = next((one for one in schema.get("anyOf", ()) if "$ref" in one), schema)  # or none at all
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        found |= {name.partition("[")[0] for name in schema["properties"]}
    return found


BODIES = {
    f"{one['method']} {one['path']}": one
    for one in OPERATIONS.values()
    if "requestBody" in one and not one["path"].endswith("/parts")
}


def test_every_route_is_on_the_page_with_its_scope() -> None:
    on_the_page = {(cells[0], cells[1]) for cells in rows(section("Routes"))}

    assert on_the_page == {
        (f"{one['method']} {one['path']}", one["security"][0]["key"][0]) for one in OPERATIONS.values()
    }


@pytest.mark.parametrize("route", sorted(BODIES.keys() - SHARED))
def test_every_field_is_on_the_page(route: str) -> None:
    on_the_page = {name: cells[1] for cells in rows(section(route)) for name in named(cells[0])}
    openais = set(OPENAI_FIELDS[route].__annotations__) if route in OPENAI_FIELDS else set()
    ours = fields_of(BODIES[route])

    hyperparameters = set(ReinforcementHyperparameters.model_fields)
    expected = ours | openais | (hyperparameters if route == "POST /fine_tuning/jobs" else set())
    assert on_the_page.keys() == expected
    assert set(on_the_page.values()) <= {"supported", "refused", "ignored", "Outcrop's"}
    assert {name for name, how in on_the_page.items() if how == "supported"} <= ours | hyperparameters
    if openais:
        outcrops = {name for name, how in on_the_page.items() if how == "Outcrop's"}
        assert outcrops == expected - openais - {"stream"} - (hyperparameters - {*outcrops})


def test_every_error_code_is_on_the_page() -> None:
    on_the_page = {name for cells in rows(section("Errors")) for name in named(cells[0])}

    in_the_code = {error.code for error in GATEWAY_ERRORS.values() if error.code}
    for folder in DOORS:
        for path in (REPOSITORY / folder).rglob("*.py"):
            if "training" not in path.name:
                code = path.read_text()
                in_the_code |= set(re.findall(r'\bcode(?:: [^=\n]+)?\s?=\s?"([a-z0-9_]+)"', code))
                for name in re.findall(r"\bcode=([A-Z_]+)\b", code):  # a constant of the same module
                    in_the_code |= set(re.findall(rf'^{name} = "([a-z0-9_]+)"', code, re.MULTILINE))
    assert in_the_code == on_the_page - {"{kind}_not_found"}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (REPOSITORY / "docs" / target).exists(), target


PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_of_every_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith(("https://", "http://")) or (page.parent / target).exists(), target


def test_every_command_is_on_the_operations_page() -> None:
    page = (REPOSITORY / "docs/operations.md").read_text()
    named = [one.name for one in (*app.registered_commands, *app.registered_groups) if not one.hidden]

    assert len(named) > 5
    assert [name for name in named if not re.search(rf"`outcrop {name}\b", page)] == []


def test_every_check_of_a_deployment_is_on_its_page_with_its_price() -> None:
    page = (REPOSITORY / "docs/first-deployment.md").read_text()
    table = page.split("## What the script checks")[1].split("\n## ")[0]

    on_the_page = {named(cells[0])[0]: cells[-1] for cells in rows(table) if named(cells[0])}

    assert on_the_page == {check.name: f"{check.usd:.2f}" if check.usd else "" for check in CHECKS}
