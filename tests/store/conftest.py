"""Ledgers made once and copied for every test that changes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.store.tampering import LARGE, SMALL, fill


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    home: Path = tmp_path_factory.mktemp("small")
    fill(home, SMALL)
    return home


@pytest.fixture(scope="session")
def large(tmp_path_factory) -> Path:
    home: Path = tmp_path_factory.mktemp("large")
    fill(home, LARGE)
    return home


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "home"))


@pytest.fixture
def large_copy(large: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(large, tmp_path / "home"))
