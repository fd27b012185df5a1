"""The app, synthesized once and kept in the cache, as templates."""

from typing import Any

import pytest

from local import assembly
from scripts import synthesis
from tests.stacks.iam import Account, Policy

Templates = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def templates() -> Templates:
    """Template by name of the stack."""
    return dict(assembly.templates(assembly.synthesize(["tiny-caps"])))


@pytest.fixture(scope="session")
def account(templates: Templates) -> Account:
    return Account(templates)


@pytest.fixture(scope="session")
def policies(account: Account) -> dict[str, Policy]:
    """By role, as docs/roles.md calls it."""
    return account.policies()


@pytest.fixture(scope="session")
def default_account() -> Account:
    """A deployment whose settings are the defaults: what docs/roles.md lists."""
    return Account(synthesis.templates())
