"""Stores run on an emulated account, each test on an empty one."""

import pytest

from tests.account import Account


@pytest.fixture(autouse=True)
def _account(aws: Account) -> None:
    """The account of `tests/conftest.py`, for every test of this folder."""
