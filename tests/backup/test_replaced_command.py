"""`portcullis restore --in-place`: what does not hold where it lies is not left there."""

import pytest
from typer.testing import CliRunner

from portcullis.backup import replaced
from portcullis.cli.main import app
from portcullis.errors import StoreError
from tests.backup.test_restore import rows

WORDS = ["restore", "--in-place", "--event", "400", "--reason", "a test", "--yes", "-o", "json"]


@pytest.fixture
def home(store, target, made, config, monkeypatch):
    monkeypatch.setenv("PORTCULLIS_HOME", str(store))
    monkeypatch.setenv("PORTCULLIS_CONFIG", str(config))
    monkeypatch.setenv("PORTCULLIS_BACKUP_TARGET", target.address)
    return store


def test_what_holds_stays_and_is_settled(home):
    before = rows(home)
    result = CliRunner().invoke(app, WORDS)
    assert result.exit_code == 0, result.exception
    assert len(rows(home)) < len(before)
    assert replaced.unsettled(home) is None


def test_what_does_not_hold_is_put_back(home, monkeypatch):
    before = rows(home)
    sound = replaced.prove

    def on_a_bad_disk(where, restored, kept):
        data = bytearray((where / "ledger.db").read_bytes())
        spot = data.index(b"a test")
        data[spot : spot + 6] = b"a lie!"
        (where / "ledger.db").write_bytes(data)
        return sound(where, restored, kept)

    monkeypatch.setattr(replaced, "prove", on_a_bad_disk)
    result = CliRunner().invoke(app, WORDS)
    assert isinstance(result.exception, StoreError)
    assert "does not hold" in str(result.exception)
    assert rows(home) == before
    assert replaced.unsettled(home) is None
