"""The same cases as on files; and after each, the ledger is verified from its rows alone."""

from __future__ import annotations

import tempfile

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from portcullis.ports import StoredEvent
from portcullis.store.keys import load_verifier
from portcullis.store.memory import MemoryLedger
from portcullis.store.opening import open_inbox, open_ledger, place_of
from portcullis.store.verify import verify_place
from tests.conformance import inbox as inboxes
from tests.conformance import ledger as ledgers
from tests.conformance.ledger import concluded, issued, position


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


ENTRIES = st.one_of(
    st.builds(position, st.sampled_from("ABC"), st.integers(-9, 9)),
    st.builds(issued, st.sampled_from(["k1", "k2", "\N{SNOWMAN}"])),
    st.builds(concluded, st.sampled_from(["k1", "k2", "k3"])),
)


@given(batches=st.lists(st.lists(ENTRIES, max_size=40), min_size=1, max_size=6), cut=st.integers(0))
@examples(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_holds_what_a_ledger_in_memory_holds(batches, cut: int, settings, server) -> None:
    """Byte for byte, in whatever batches it came, with a restart between any two of them."""
    server.empty_database()
    home = tempfile.mkdtemp(dir=settings.home)
    settings = msgspec.structs.replace(settings, home=home)
    memory, ledger = MemoryLedger(), open_ledger(settings)
    for number, batch in enumerate(batches):
        assert ledger.append(batch) == memory.append(batch)
        if number == cut % len(batches):
            ledger.close()
            ledger = open_ledger(settings)
    rows: list[StoredEvent] = list(ledger.read())
    assert rows == list(memory.read())
    assert ledger.pending() == memory.pending()
    for stream in ("account/A", "account/B", "account/C"):
        assert list(ledger.read(stream=stream)) == list(memory.read(stream=stream))
    ledger.close()
