"""The memory ledger and inbox pass the same cases as those on disk."""

from __future__ import annotations

import pytest

from portcullis.store.memory import MemoryInbox, MemoryLedger
from tests.conformance import inbox, ledger


@pytest.mark.parametrize("case", ledger.CASES, ids=ledger.name_of)
def test_ledger_conforms(case: ledger.Case) -> None:
    case(MemoryLedger())


@pytest.mark.parametrize("case", inbox.CASES, ids=inbox.name_of)
def test_inbox_conforms(case: inbox.Case) -> None:
    case(MemoryInbox())
