"""A home with the demonstration in its ledger, and a target beside it."""

import pytest

from portcullis.backup.make import make
from portcullis.backup.target import Target
from portcullis.store import pieces
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


@pytest.fixture
def made(store, config, target):
    """The manifest of a backup at the target."""
    return make(store, config, target, (), NOW).manifest


@pytest.fixture
def clock():
    """What the shipper takes for the time."""
    from tests.backup.dock import Clock

    return Clock()


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of at most 100 events, so that a demonstration needs many."""
    monkeypatch.setattr(pieces, "EVENTS_MAX", 100)
    monkeypatch.setattr(pieces, "CHUNK", 40)
