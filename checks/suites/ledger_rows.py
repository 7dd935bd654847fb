"""The suite over the ledger's rows: what must hold of them whatever they say.

The batch is a window of positions that begins with a row that was verified before, so that the
joint is looked at too; `bounds` are its `first` and `last`. Beside it stand the tables that speak
of those positions: segments, checkpoints, outbox, the index of streams.
"""

from __future__ import annotations

from typing import Any

from checks.suites.expectations import between, findings, one_of, present, unique
from checks.suites.running import Suite
from portcullis.domain.events import KINDS
from portcullis.store.chain import SEGMENT_EVENTS

NAME = "ledger.rows"
HASH_BYTES = 32
# An event may be dated a little ahead where the machine's clock was set back since.
AHEAD_MAX_US = 120_000_000

ROWS = (
    "SELECT position, stream, seq, at, kind, version, trace, length(payload) AS payload_bytes, "
    "length(previous) AS previous_bytes, length(hash) AS hash_bytes FROM events "
    "WHERE position BETWEEN (SELECT first FROM bounds) AND (SELECT last FROM bounds)"
)

_ALL_THERE = """
SELECT first, last, last - first + 1 AS due, (SELECT count(*) FROM b) AS found
FROM bounds WHERE due <> found
"""
_CONTIGUOUS = """
SELECT position, before, position - before - 1 AS missing
FROM (SELECT position, lag(position) OVER (ORDER BY position) AS before FROM b)
WHERE position <> before + 1
"""
_STREAM_CONTIGUOUS = """
SELECT position, stream, seq, before
FROM (SELECT position, stream, seq,
      lag(seq) OVER (PARTITION BY stream ORDER BY position) AS before FROM b)
WHERE seq <> before + 1
"""
# The first row of each stream in the window goes on from a row before the window. The index of
# streams ends a little before the head; behind its end the few rows themselves are asked. What the
# first row goes on from may be in the archive, where the ledger begins with a base.
_STREAM_JOINED = """
SELECT j.position, j.stream, j.seq
FROM (SELECT min(position) AS position, stream, min(seq) AS seq FROM b GROUP BY stream) j
WHERE j.seq <> 1 AND NOT EXISTS (
    SELECT 1 FROM stream_index s
    WHERE s.stream = j.stream AND s.seq = j.seq - 1 AND s.position < j.position
) AND NOT EXISTS (
    SELECT 1 FROM events e
    WHERE e.position > (SELECT indexed FROM head) AND e.position < (SELECT first FROM bounds)
    AND e.stream = j.stream AND e.seq = j.seq - 1
) AND NOT (
    EXISTS (SELECT 1 FROM base) AND NOT EXISTS (
        SELECT 1 FROM stream_index s
        WHERE s.stream = j.stream AND s.seq < j.seq AND s.position > (SELECT position FROM base)
    )
)
"""
_IN_ORDER = """
SELECT position, at, before, before - at AS back_us
FROM (SELECT position, at, lag(at) OVER (ORDER BY position) AS before FROM b)
WHERE at < before
"""
_NOT_AHEAD = f"""
SELECT position, at, (SELECT now FROM bounds) AS now FROM b
WHERE at > (SELECT now FROM bounds) + {AHEAD_MAX_US}
"""
_SEALED = f"""
SELECT b.position AS last, b.position / {SEGMENT_EVENTS} AS segment FROM b
WHERE b.position % {SEGMENT_EVENTS} = 0 AND NOT EXISTS (
    SELECT 1 FROM segments s WHERE s.number = b.position / {SEGMENT_EVENTS}
    AND s.last = b.position AND s.first = b.position - {SEGMENT_EVENTS} + 1
    AND length(s.root) = {HASH_BYTES}
)
"""
_WITHIN = "BETWEEN (SELECT first FROM bounds) AND (SELECT last FROM bounds)"
_CHECKPOINTS = f"""
SELECT c.position FROM checkpoints c WHERE c.position {_WITHIN}
AND NOT EXISTS (SELECT 1 FROM b WHERE b.position = c.position)
"""
_OPENED = f"""
SELECT o.key, o.account, o.position, b.kind FROM outbox o
LEFT JOIN b ON b.position = o.position
WHERE o.position {_WITHIN} AND b.kind IS NOT 'command_issued'
"""
_CONCLUDED = f"""
SELECT o.key, o.account, o.position, o.concluded, b.kind FROM outbox o
LEFT JOIN b ON b.position = o.concluded
WHERE o.concluded {_WITHIN} AND (b.kind IS NOT 'command_concluded' OR o.concluded <= o.position)
"""
_OUTCOMES = f"""
SELECT o.key, o.account, o.position, o.outcome, o.concluded FROM outbox o
WHERE o.position {_WITHIN} AND (o.outcome IS NULL) <> (o.concluded IS NULL)
"""
_HEAD = """
SELECT h.position, h.at, e.at AS row_at FROM head h LEFT JOIN events e ON e.position = h.position
WHERE h.position > 0 AND e.at IS NOT h.at
"""


def expectations() -> list[Any]:
    """What must hold of a window of events. All of it is critical but a time from the future."""
    return [
        findings("rows.all_there", "every position of the window has its row", _ALL_THERE),
        findings("position.contiguous", "positions follow one another", _CONTIGUOUS),
        unique("position.unique", "no position is there twice", "position"),
        unique("stream_seq.unique", "no place of a stream is there twice", "stream", "seq"),
        findings("stream_seq.contiguous", "a stream's numbers follow on", _STREAM_CONTIGUOUS),
        findings("stream_seq.joined", "a stream goes on where it stood", _STREAM_JOINED),
        findings("time.in_order", "time never goes back", _IN_ORDER),
        findings("time.not_ahead", "no event is from the future", _NOT_AHEAD, "warning"),
        one_of("kind.known", "every kind is a known one", "kind", KINDS),
        *[present(f"{each}.present", f"every event has its {each}", each) for each in _PRESENT],
        between("seq.positive", "streams count from 1", "seq", 1),
        between("version.positive", "schema versions count from 1", "version", 1),
        between("payload.present", "no payload is empty", "payload_bytes", 1),
        between("hash.whole", "a hash has 32 bytes", "hash_bytes", HASH_BYTES, HASH_BYTES),
        between("previous.whole", "so has the last one", "previous_bytes", HASH_BYTES, HASH_BYTES),
        findings("segment.sealed", "every full segment has its seal", _SEALED),
        findings("checkpoint.of_an_event", "a checkpoint is of an event", _CHECKPOINTS),
        findings("outbox.issued", "a command was issued where it says", _OPENED),
        findings("outbox.concluded", "it was concluded where it says, and later", _CONCLUDED),
        findings("outbox.outcome", "an outcome has its event, and an event its outcome", _OUTCOMES),
        findings("head.of_the_last_row", "the head names a row, with its time", _HEAD),
    ]


_PRESENT = ("stream", "seq", "at", "kind", "version", "trace")

SUITE = Suite(NAME, ROWS, ("position",), expectations)
