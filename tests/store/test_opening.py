"""A home whose ledger is gone begins no other: its locks and limits were in it."""

from __future__ import annotations

import pytest

from portcullis.config.settings import Settings
from portcullis.errors import StoreError
from portcullis.store.opening import open_ledger


@pytest.mark.parametrize("left", [None, b""])
def test_a_ledger_that_is_gone_is_missed(tmp_path, left):
    settings = Settings(home=str(tmp_path))
    open_ledger(settings).close()
    first = open_ledger(settings)
    name = first.ledger_id
    first.close()
    kept = settings.ledger_path.read_bytes()
    for each in tmp_path.glob("ledger.db*"):
        each.unlink()
    if left is not None:
        settings.ledger_path.write_bytes(left)
    with pytest.raises(StoreError, match="has a ledger already") as refused:
        open_ledger(settings)
    assert "restore" in refused.value.remedy
    settings.ledger_path.write_bytes(kept)
    again = open_ledger(settings)
    assert again.ledger_id == name
    again.close()
