"""The app, synthesized once and kept in the cache, as templates."""

from typing import Any

import pytest

from local import assembly

Templates = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def templates() -> Templates:
    """Template by name of the stack."""
    return dict(assembly.templates(assembly.synthesize(["tiny-caps"])))
