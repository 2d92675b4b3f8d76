"""The folder of real data, and none for the tests that do not ask for it."""

import os

import pytest

DATA_DIR = os.environ.get("TFAR_DATA_DIR")


@pytest.fixture
def data_dir(monkeypatch):
    """The folder of real data, or a skip."""
    if not DATA_DIR:
        pytest.skip("TFAR_DATA_DIR is not set")
    monkeypatch.setenv("TFAR_DATA_DIR", DATA_DIR)
    return DATA_DIR


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch):
    """Without the fixture above, the tests do not depend on the environment."""
    monkeypatch.delenv("TFAR_DATA_DIR", raising=False)
