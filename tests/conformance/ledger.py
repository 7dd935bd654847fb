"""What every ledger must do: one list of cases, run on each implementation.

A test of an implementation gives an empty ledger to each case:

    @pytest.mark.parametrize("case", ledger.CASES, ids=ledger.name_of)
    def test_conforms(case, tmp_path): case(SqliteLedger(tmp_path))
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portcullis.domain.commands import Flatten
from portcullis.domain.events import (
    CommandConcluded,
    CommandIssued,
    Event,
    PositionReported,
    RequestReceived,
    TimePassed,
    decode,
    stream_of,
)
from portcullis.errors import UsageError
from portcullis.ports import Entry, Head, Ledger, PendingCommand, Snapshot
from portcullis.store.chain import NO_PREVIOUS, SEGMENT_EVENTS, event_hash
from portcullis.store.merkle import EMPTY_ROOT, root_of

Case = Callable[[Ledger], None]
AT = 1_772_550_000_000_000


def name_of(case: Case) -> str:
    return getattr(case, "__name__", "case")


def entry(event: Event, at: int = AT, trace: str = "") -> Entry:
    return Entry(stream_of(event), at, trace, event)


def position(account: str, size: int) -> Entry:
    return entry(PositionReported(account, "ES", size, 100_000_000, AT), AT + size)


def issued(key: str, account: str = "A") -> Entry:
    return entry(CommandIssued(account, key, Flatten(account), ("daily_loss",), AT))


def concluded(key: str, outcome="confirmed", account: str = "A") -> Entry:
    return entry(CommandConcluded(account, key, outcome, "", 1, 2, AT, AT, AT, AT))


def starts_empty(ledger: Ledger) -> None:
    assert ledger.head() == Head(0, EMPTY_ROOT)
    assert ledger.last_at() == 0
    assert list(ledger.read()) == []
    assert ledger.pending() == []
    assert ledger.latest_snapshot() is None


def gives_back_what_was_appended(ledger: Ledger) -> None:
    entries = [position("A", 1), position("B", 2), entry(TimePassed(), AT + 3, "trace-1")]
    ledger.append(entries)
    rows = list(ledger.read())
    assert [decode(row.payload) for row in rows] == [e.event for e in entries]
    assert [(row.stream, row.at, row.trace) for row in rows] == [e[:3] for e in entries]
    assert [row.kind for row in rows] == ["position_reported"] * 2 + ["time_passed"]
    assert ledger.last_at() == AT + 3


def numbers_positions_and_streams_without_gaps(ledger: Ledger) -> None:
    for size in range(6):
        ledger.append([position("A", size), position("AB"[size % 2], size)])
    rows = list(ledger.read())
    assert [row.position for row in rows] == list(range(1, 13))
    for stream in ("account/A", "account/B"):
        seqs = [row.seq for row in rows if row.stream == stream]
        assert seqs == list(range(1, len(seqs) + 1))


def links_each_stream_by_hashes_of_every_field(ledger: Ledger) -> None:
    ledger.append([position("AB"[n % 2], n) for n in range(8)])
    previous = {"account/A": NO_PREVIOUS, "account/B": NO_PREVIOUS}
    for row in ledger.read():
        assert row.previous == previous[row.stream]
        place, stream, seq, at, kind, version, trace, payload, linked, digest = row
        texts = stream.encode(), kind.encode(), trace.encode()
        assert digest == event_hash(
            place, texts[0], seq, at, texts[1], version, texts[2], payload, linked
        )
        previous[row.stream] = row.hash


def heads_are_the_root_over_all_hashes(ledger: Ledger) -> None:
    for count in (1, 2, 5, 1, 20):
        head = ledger.append([position("A", n) for n in range(count)])
        assert head == ledger.head()
        assert head.root == root_of([row.hash for row in ledger.read()])
    assert ledger.head().position == 29


def appending_nothing_changes_nothing(ledger: Ledger) -> None:
    before = ledger.append([position("A", 1)])
    assert ledger.append([]) == before


def reads_from_and_to_a_position(ledger: Ledger) -> None:
    ledger.append([position("AB"[n % 2], n) for n in range(10)])
    assert [row.position for row in ledger.read(after=7)] == [8, 9, 10]
    assert [row.position for row in ledger.read(after=2, through=4)] == [3, 4]
    assert list(ledger.read(after=10)) == []
    assert [row.position for row in ledger.read(through=99)] == list(range(1, 11))


def reads_one_stream(ledger: Ledger) -> None:
    ledger.append([position("AB"[n % 2], n) for n in range(10)])
    assert [row.position for row in ledger.read(stream="account/B")] == [2, 4, 6, 8, 10]
    found = ledger.read(stream="account/A", after=3, through=8)
    assert [row.position for row in found] == [5, 7]
    assert list(ledger.read(stream="account/C")) == []


def reads_more_than_a_chunk(ledger: Ledger) -> None:
    ledger.append([position("AB"[n % 2], n) for n in range(9_001)])
    assert [row.position for row in ledger.read()] == list(range(1, 9_002))
    assert [row.seq for row in ledger.read(stream="account/B")] == list(range(1, 4_501))


def appending_while_reading_is_allowed(ledger: Ledger) -> None:
    ledger.append([position("A", n) for n in range(5_000)])
    seen = 0
    for row in ledger.read():
        seen += 1
        if row.position % 1_000 == 0:
            ledger.append([position("A", 1)])
    assert seen == 5_000  # up to where it ended when the reading began
    assert ledger.head().position == 5_005


def outbox_opens_and_closes_with_the_events(ledger: Ledger) -> None:
    ledger.append([issued("k1"), position("A", 0), issued("k2", "B")])
    assert ledger.pending() == [PendingCommand("k1", "A", 1), PendingCommand("k2", "B", 3)]
    ledger.append([concluded("k1", "unconfirmed")])
    assert ledger.pending() == [PendingCommand("k2", "B", 3)]
    ledger.append([issued("k3"), concluded("k3"), concluded("k2")])
    assert ledger.pending() == []


def a_key_is_one_command_for_good(ledger: Ledger) -> None:
    ledger.append([issued("k1"), issued("k1")])
    assert ledger.pending() == [PendingCommand("k1", "A", 1)]
    ledger.append([concluded("k1"), issued("k1")])
    assert ledger.pending() == []
    ledger.append([concluded("never issued")])
    assert ledger.pending() == []


def keeps_the_newest_snapshot(ledger: Ledger) -> None:
    ledger.append([position("A", n) for n in range(10)])
    for at in (3, 9, 5):
        ledger.save_snapshot(Snapshot(at, AT + at, 1, bytes([at]) * 100))
    assert ledger.latest_snapshot() == Snapshot(9, AT + 9, 1, b"\x09" * 100)
    ledger.save_snapshot(Snapshot(9, AT + 20, 2, b"again"))
    assert ledger.latest_snapshot() == Snapshot(9, AT + 20, 2, b"again")


def refuses_what_cannot_be_stored_and_changes_nothing(ledger: Ledger) -> None:
    before = ledger.append([position("A", 1)])
    unfit: list[Entry] = [
        entry(RequestReceived("r", "lock", "me", "admin", "", arguments={"x": object()})),
        entry(RequestReceived("r", "lock", "me", "admin", "", arguments={"x": 2**70})),
        position("A", 1)._replace(at=-1),
        position("A", 1)._replace(trace="\ud800"),
    ]
    for bad in unfit:
        with pytest.raises(UsageError):
            ledger.append([position("A", 2), bad])
        assert ledger.head() == before
    assert ledger.append([position("A", 3)]).position == 2
    assert [row.seq for row in ledger.read()] == [1, 2]


def seals_across_segments_as_one_tree(ledger: Ledger) -> None:
    count = SEGMENT_EVENTS + 7
    ledger.append([position("A", n) for n in range(count)])
    assert ledger.head().root == root_of([row.hash for row in ledger.read()])


CASES: tuple[Case, ...] = (
    starts_empty,
    gives_back_what_was_appended,
    numbers_positions_and_streams_without_gaps,
    links_each_stream_by_hashes_of_every_field,
    heads_are_the_root_over_all_hashes,
    appending_nothing_changes_nothing,
    reads_from_and_to_a_position,
    reads_one_stream,
    reads_more_than_a_chunk,
    appending_while_reading_is_allowed,
    outbox_opens_and_closes_with_the_events,
    a_key_is_one_command_for_good,
    keeps_the_newest_snapshot,
    refuses_what_cannot_be_stored_and_changes_nothing,
    seals_across_segments_as_one_tree,
)
