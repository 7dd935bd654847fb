"""One server for the session, emptied for every test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portcullis.config.settings import Settings
from tests.postgres.server import Server, programs


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    made = Server(found)
    yield made
    made.remove()


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    """Of a home whose store is empty."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=str(home), store_url=server.empty_database())
