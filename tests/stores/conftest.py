"""Stores run on an emulated account, each test on an empty one."""

import pytest


@pytest.fixture(autouse=True)
def _account(aws: None) -> None:
    """The account of `tests/conftest.py`, for every test of this folder."""
