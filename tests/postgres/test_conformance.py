"""The same cases as on files; and after each, the ledger is verified from its rows alone."""

from __future__ import annotations

import pytest

from portcullis.store.keys import load_verifier
from portcullis.store.opening import open_inbox, open_ledger, place_of
from portcullis.store.verify import verify_place
from tests.conformance import inbox as inboxes
from tests.conformance import ledger as ledgers


@pytest.mark.parametrize("case", ledgers.CASES, ids=ledgers.name_of)
def test_the_ledger_conforms(case: ledgers.Case, settings) -> None:
    ledger = open_ledger(settings)
    case(ledger)
    position = ledger.head().position
    ledger.close()
    found = verify_place(place_of(settings), load_verifier(settings.home_path / "ledger.pub"))
    assert found[:2] == (True, position)


@pytest.mark.parametrize("case", inboxes.CASES, ids=inboxes.name_of)
def test_the_inbox_conforms(case: inboxes.Case, settings) -> None:
    inbox = open_inbox(settings)
    case(inbox)
    inbox.close()
