"""The folder of real data. Tests that do not request it run without a folder."""

import os

import pytest

DATA_DIR = os.environ.get("TFAR_DATA_DIR")


@pytest.fixture
def data_dir(monkeypatch):
    """The folder of real data. The test is skipped if there is none."""
    if not DATA_DIR:
        pytest.skip("TFAR_DATA_DIR is not set")
    monkeypatch.setenv("TFAR_DATA_DIR", DATA_DIR)
    return DATA_DIR


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch):
    """Unsets TFAR_DATA_DIR, so that tests without the fixture `data_dir` do not depend on the environment."""
    monkeypatch.delenv("TFAR_DATA_DIR", raising=False)
