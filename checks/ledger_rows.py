"""Are the ledger's rows whole? The suite over what is new, and over a slice of what is old.

What is new is looked at from a watermark on, the last verified row included. Of what was verified
before, each run looks at a slice in turn, as large a part as the time since the last run is of a
week, so that every row is looked at once a week; a full run looks at everything. The watermark is
ours alone, lies beside the ledger, and moves only with a verdict that holds the gate.
`python -m checks.ledger_rows [--full]` gives the finding as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from checks.apart import check_apart, run_here
from checks.ledger_file import ledger_file
from checks.suites.ledger_rows import SUITE
from checks.suites.outcomes import SAMPLES, Outcome, graded
from checks.suites.running import digest_of, load, validate
from checks.verdicts import Finding, Grade
from checks.worker_health import replace_file
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.model import HOUR
from portcullis.errors import StoreLocked
from portcullis.store.lock import WriterLock
from portcullis.store.opening import open_reader

MARK_FILE = "ledger_rows.mark"
WINDOW_ROWS = 50_000  # rows of one validation
SLICE_MAX = 50_000  # old rows of one run
WEEK = 7 * 24 * HOUR


class Watermark(msgspec.Struct, frozen=True):
    """How far the rows of a ledger were verified by a suite, and where the next slice begins.

    `verified` and `turned` are positions; `at` is when that was (us).
    """

    ledger: str
    suite: str
    verified: int = 0
    turned: int = 0
    at: int = 0


class Window(NamedTuple):
    """Positions that one validation looks at, both included."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        return self.last - self.first + 1


class Work(NamedTuple):
    """What a run looks at, and the watermark that a verdict which holds leaves."""

    new: list[Window]
    old: list[Window]
    after: Watermark


def check(settings: Settings, now: int, *, full: bool = False) -> Finding:
    """Look at what is new and at the next slice, or at everything.

    Raises StoreError when the ledger cannot be read.
    """
    load()
    settings.operations_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.operations_path / MARK_FILE
    try:
        with WriterLock(path.with_suffix(".lock")):
            work = planned(settings, now, full=full)
            if not work.new:
                return Finding(Grade.EMPTY, "there is no event to look at", [])
            with ledger_file(settings, (*work.new, *work.old)) as file:
                found = look(file, work, now)
            if found.grade.holds:
                replace_file(path, msgspec.msgpack.encode(work.after))
            return found
    except StoreLocked:
        return Finding(Grade.EARLY, "another run is looking; it leaves the verdict", [])


def check_where_it_fits(settings: Settings, now: int, *, full: bool = False) -> Finding:
    """`check` in this process where little is new, in one of its own where that takes long."""
    load()
    much = full or sum(each.rows for each in planned(settings, now).new) > WINDOW_ROWS
    if much:
        return check_apart(settings, "checks.ledger_rows", full=full)
    return check(settings, now)


def planned(settings: Settings, now: int, *, full: bool = False) -> Work:
    """What is due now; the end is fixed here, so that every query of the run sees the same rows."""
    with open_reader(settings) as reader:
        ledger, head, base = reader.ledger_id, reader.head().position, reader.base()
    begins = base.position + 1 if base else 1
    fresh = Watermark(ledger, digest_of(SUITE))
    before = fresh if full else _read(settings.operations_path / MARK_FILE, fresh, head)
    new = list(windows(max(begins, before.verified), head)) if head else []
    old, turned = slice_of(before, now)
    old = [Window(max(begins, each.first), each.last) for each in old if each.last >= begins]
    after = msgspec.structs.replace(before, verified=head, turned=turned, at=now)
    return Work(new, old, after)


def windows(first: int, last: int) -> Iterator[Window]:
    """Windows over `first` to `last`, each beginning with the last row of the one before.

    Where nothing is new that is the one row: a run that looked at nothing would prove nothing.
    """
    while True:
        end = min(last, first + WINDOW_ROWS)
        yield Window(first, end)
        if end == last:
            return
        first = end


def slice_of(before: Watermark, now: int) -> tuple[list[Window], int]:
    """The next slice of the verified rows, and the position behind which the one after it begins.

    As large a part of them as the time since the last run is of a week; a run that was missed makes
    the next slice larger, `SLICE_MAX` rows at most. At the end it goes on from the first row.
    """
    elapsed = min(max(0, now - before.at), WEEK)
    due = min(SLICE_MAX, -(-before.verified * elapsed // WEEK))
    if not due:
        return [], before.turned
    end = before.turned + due
    found = [Window(max(1, before.turned), min(end, before.verified))]
    if end <= before.verified:
        return found, end % before.verified
    rest = end - before.verified
    return [*found, Window(1, rest)], rest


def look(path: Path, work: Work, now: int) -> Finding:
    """The verdict over all windows of a run."""
    results = [
        validate(path, SUITE, {"first": each.first, "last": each.last, "now": now})
        for each in (*work.new, *work.old)
    ]
    new, old = (sum(each.rows for each in part) for part in (work.new, work.old))
    size = f"{new:,} new rows and {old:,} old ones"
    return graded(size, [together(each) for each in zip(*results, strict=True)], work.after.suite)


def together(found: Sequence[Outcome]) -> Outcome:
    """The results of one expectation over several windows as one."""
    bad = next((each for each in found if not each.could_run), found[0])
    return bad._replace(
        passed=all(each.passed for each in found),
        unexpected=sum(each.unexpected for each in found),
        samples=[sample for each in found for sample in each.samples][:SAMPLES],
    )


def _read(path: Path, fresh: Watermark, head: int) -> Watermark:
    """The watermark of an earlier run; one of another ledger, suite or past counts for nothing."""
    try:
        found = msgspec.msgpack.decode(path.read_bytes(), type=Watermark)
    except (OSError, msgspec.MsgspecError):
        return fresh
    ours = (found.ledger, found.suite) == (fresh.ledger, fresh.suite)
    return found if ours and 0 <= found.turned <= found.verified <= head else fresh


if __name__ == "__main__":
    sys.exit(run_here(lambda settings, full: check(settings, SystemClock().now(), full=full)))
