"""A home whose ledger holds the whole demonstration, made once."""

import shutil

import msgspec
import pytest

from portcullis.config.files import read_configuration
from portcullis.config.settings import Settings
from portcullis.domain.events import decode
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder

COMMIT_EVENTS = 1_000


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory):
    """The home; not to be written to."""
    home = tmp_path_factory.mktemp("demonstrated")
    plan = read_configuration(defaults_folder()).plan
    source = demonstrate(7, msgspec.structs.replace(plan, required=()))
    entries = [Entry(r.stream, r.at, r.trace, decode(r.payload)) for r in source.read()]
    ledger = SqliteLedger(home)
    for start in range(0, len(entries), COMMIT_EVENTS):
        ledger.append(entries[start : start + COMMIT_EVENTS])
    ledger.close()
    return home


@pytest.fixture
def home(demonstrated, tmp_path):
    """A copy of it to do anything with."""
    found = tmp_path / "home"
    shutil.copytree(demonstrated, found)
    return found


@pytest.fixture
def settings(home):
    return Settings(home=str(home))
