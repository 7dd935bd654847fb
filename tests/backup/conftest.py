"""A home with the demonstration in its ledger, and a target beside it."""

import pytest

from portcullis.backup.target import Target
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder
from tests.checks.conftest import demonstrated, home  # noqa: F401 - fixtures

NOW = 1_780_000_000_000_000


@pytest.fixture
def store(home):  # noqa: F811 - the fixture
    """The home with a checkpoint kept."""
    ledger = SqliteLedger(home)
    ledger.checkpoint()
    ledger.close()
    return home


@pytest.fixture
def target(tmp_path):
    return Target(str(tmp_path / "backups"))


@pytest.fixture
def config():
    return defaults_folder()
