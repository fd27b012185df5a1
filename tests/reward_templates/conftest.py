"""Fixtures of the tests of the judge templates."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.converse_server import Asked, ConverseServer, Said
from tests.reward_templates.judges import MakeTemplate, Template, install


@pytest.fixture
def a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeTemplate]:
    """`a_template(judge, wire=..., name=..., JUDGE_MODEL=...)`: a template in front of a scripted judge."""
    servers: list[ConverseServer] = []

    def make(
        judge: Callable[[Asked], Said], wire: str = "converse", name: str = "summarization", **variables: str
    ) -> Template:
        servers.append(ConverseServer(judge))
        folder = tmp_path / f"function{len(servers)}"
        return install(name, folder, monkeypatch, servers[-1], wire, **variables)

    yield make
    for server in servers:
        server.stop()
