"""Invariants 1 and 2: nothing acknowledged is lost; no command leaves before it is durable."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from portcullis.domain.events import CommandIssued
from portcullis.proof.checkers.record import Record
from portcullis.store.chain import event_hash
from portcullis.store.merkle import Tree


def chain_holds(record: Record) -> Iterator[str]:
    """Positions without a gap, streams counted, every hash and link right."""
    ends: dict[str, tuple[int, bytes]] = {}
    for number, row in enumerate(record.rows, start=1):
        seq, previous = ends.get(row.stream, (0, bytes(32)))
        if row.position != number:
            yield f"event {row.position} stands where {number} belongs"
        if row.seq != seq + 1:
            yield f"event {row.position}: {row.stream} counts {row.seq} after {seq}"
        if seq and row.previous != previous:
            yield f"event {row.position} does not follow the one before it in {row.stream}"
        ends[row.stream] = (row.seq, row.hash)
        found = event_hash(
            row.position,
            row.stream.encode(),
            row.seq,
            row.at,
            row.kind.encode(),
            row.version,
            row.trace.encode(),
            row.payload,
            row.previous,
        )
        if found != row.hash:
            yield f"event {row.position} is not what was hashed"


def nothing_acknowledged_is_lost(record: Record) -> Iterator[str]:
    """What the store acknowledged is there at the end: a root binds everything before it, so the
    last one of every life of the worker is compared.
    """
    wanted = dict(_last_heads(record))
    if wanted and max(wanted) > len(record.rows):
        yield f"acknowledged were {max(wanted)} events, there are {len(record.rows)}"
    tree, done = Tree(), 0
    for position in sorted(wanted):
        tree.extend([row.hash for row in record.rows[done:position]])
        done = position
        if position <= len(record.rows) and wanted[position] != tree.root():
            yield f"the events up to {position} are not the ones that were acknowledged"
            return


def _last_heads(record: Record) -> Iterator[tuple[int, bytes]]:
    """Of each life of the worker, the last head that was acknowledged in it."""
    ends = [life.ended for life in record.notes.lives]
    heads = record.notes.acknowledged
    for end in ends:
        index = bisect_right(heads, end, key=lambda each: each.at)
        if index:
            yield heads[index - 1].head.position, heads[index - 1].head.root


def a_start_finds_what_was_acknowledged(record: Record) -> Iterator[str]:
    """Each life of the worker began with everything acknowledged in the lives before it."""
    for life in record.notes.lives:
        before = [each.head.position for each in record.notes.acknowledged if each.at < life.began]
        if before and max(before) > life.found.position:
            yield f"a start found {life.found.position} events, {max(before)} were acknowledged"


def requests_follow_durable_commands(record: Record) -> Iterator[str]:
    """What the venue was asked to do under a key of ours was in the ledger, durable, before."""
    issued = {event.key: row.position for row, event in record.of(CommandIssued)}
    for entry in record.exchange.journal:
        if entry.what != "requested" or not entry.key:
            continue
        position = _position(entry.key, issued)
        if position is None:
            yield f"the venue got {entry.call} {entry.key}, which the ledger does not know"
            continue
        durable = record.durable_at(position)
        if durable is not None and durable > entry.at - record.story.start:
            yield f"{entry.call} {entry.key} came before event {position} was durable"


def _position(key: str, issued: dict[str, int]) -> int | None:
    """The command of a key; what a command sends has its key with something after a slash."""
    while key not in issued:
        key, slash, _ = key.rpartition("/")
        if not slash:
            return None
    return issued[key]
