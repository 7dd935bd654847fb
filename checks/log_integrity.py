"""Does the ledger still say what it said? The chain, the folded states, the decisions.

Incremental: everything before the mark was verified by an earlier run. The mark is ours alone and
lies beside the ledger; without one, or where it cannot be read, everything is verified.
`python -m checks.log_integrity [--full]` gives the finding as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from checks.apart import run_here
from checks.verdicts import Finding, Grade
from checks.worker_health import replace_file
from portcullis.config.settings import Settings
from portcullis.domain.engine import Engine
from portcullis.domain.state import STATE_VERSION, AccountState, State, freeze, thaw
from portcullis.errors import StoreLocked
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.opening import open_reader, place_of
from portcullis.store.place import Place
from portcullis.store.verify import Mark, Verification, verify_place
from portcullis.worker.recovery import begin
from portcullis.worker.replay import Replayed, replay

MARK_FILE = "integrity.mark"
SHOWN_MAX = 5


class Progress(msgspec.Struct, frozen=True):
    """How far was verified (`mark`), and the state that the replay had there."""

    mark: bytes
    position: int
    state_version: int
    state: bytes


class Checked(NamedTuple):
    """One run: the chain, the replay of the new part, faults of states, the engine at the end."""

    chain: Verification
    replayed: Replayed | None
    faults: list[str]
    incremental: bool


def check(settings: Settings, *, full: bool = False) -> Finding:
    """Verify what is new, or everything; the mark moves only when all of it holds.

    Raises StoreError when the ledger cannot be opened.
    """
    settings.operations_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.operations_path / MARK_FILE
    try:
        with WriterLock(path.with_suffix(".lock")):
            before = None if full else read_progress(path)
            checked, progress = run(settings, before)
            found = judge(checked)
            if found.grade is Grade.PASS and progress is not None:
                replace_file(path, msgspec.msgpack.encode(progress))
            return found
    except StoreLocked:
        return Finding(Grade.EARLY, "another run is verifying; it leaves the verdict", [])


def run(settings: Settings, before: Progress | None) -> tuple[Checked, Progress | None]:
    """Verify the chain first; states and decisions mean nothing while it does not hold."""
    public = load_verifier(settings.home_path / PUBLIC_FILE)
    since = Mark.from_bytes(before.mark) if before else None
    chain = verify_place(place_of(settings), public, since=since)
    if not chain.ok or chain.mark is None:
        return Checked(chain, None, [], before is not None), None
    with open_reader(settings) as reader:
        engine, start = begin(reader)
        if before and before.position >= start:
            engine, start = Engine(thaw(before.state)), before.position
        replayed = replay(reader, engine=engine, after=start, through=chain.mark.position)
    faults = [*_snapshots(place_of(settings)), *state_faults(engine.state)]
    progress = Progress(
        chain.mark.to_bytes(), chain.mark.position, STATE_VERSION, freeze(engine.state)
    )
    return Checked(chain, replayed, faults, before is not None), progress


def judge(checked: Checked) -> Finding:
    """The verdict, with what was compared: a run that compared nothing says so."""
    chain, replayed = checked.chain, checked.replayed
    how = "since the last mark" if checked.incremental else "from the first event"
    rows: list[dict[str, Any]] = [
        {"what": "chain", "how": how, "checked": chain.events, "says": str(chain)}
    ]
    if replayed is None:
        return Finding(Grade.FAIL, f"the chain {chain}", rows)
    compared = sum(replayed.compared.values())
    differ = len(replayed.differences)
    rows.append({"what": "decisions", "how": how, "checked": compared, "says": f"{differ} differ"})
    rows += [
        {"what": "state", "how": "at the end", "checked": 1, "says": fault}
        for fault in checked.faults
    ]
    if differ:
        first = replayed.differences[0]
        says = f"recorded {first.recorded}, derived {first.derived}"
        return Finding(Grade.FAIL, f"decision at event {first.position}: {says}", rows)
    if checked.faults:
        return Finding(Grade.FAIL, "; ".join(checked.faults[:SHOWN_MAX]), rows)
    if not chain.events and not checked.incremental:
        return Finding(Grade.EMPTY, "there is no event to verify", rows)
    summary = f"{chain.events} events {how} hold; {compared} decisions derived again agree"
    return Finding(Grade.PASS, summary, rows)


def read_progress(path: Path) -> Progress | None:
    """The mark of an earlier run; None makes the next run start from the first event."""
    try:
        found = msgspec.msgpack.decode(path.read_bytes(), type=Progress)
        Mark.from_bytes(found.mark)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.state_version == STATE_VERSION else None


def _snapshots(place: Place) -> Iterator[str]:
    """Snapshots must grow in time as they do in position."""
    with place.explained(), place.reader().connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT position, taken_at FROM snapshots ORDER BY position"
        ).all()
    for (_, earlier), (position, later) in pairwise(found):
        if later < earlier:
            yield f"the snapshot at {position} was taken before the one in front of it"


def state_faults(state: State) -> Iterator[str]:
    """What no sequence of events may lead to."""
    for account in state.accounts.values():
        for fault in _account_faults(account):
            yield f"{account.id}: {fault}"


def _account_faults(account: AccountState) -> Iterator[str]:
    for number, lock in account.locks.items():
        if number != lock.id or number >= account.next_lock:
            yield f"lock {number} was never given out"
        if lock.until is not None and lock.until < lock.set_at:
            yield f"lock {number} ends before it began"
    for key, order in account.orders.items():
        if key != order.order_id or not 0 <= order.remaining <= order.size:
            yield f"order {key} has {order.remaining} of {order.size} left"
    for name, position in account.positions.items():
        if name != position.instrument or position.size == 0:
            yield f"the position in {name} holds nothing"
    counted = sum(fill.net for fill in account.fills.values() if not fill.voided)
    if counted != account.realized:
        yield f"realized {account.realized} is not the {counted} of its fills"
    if account.kept.keys() - account.locks.keys():
        yield "sizes are kept for a lock that is not there"


if __name__ == "__main__":
    sys.exit(run_here(lambda settings, full: check(settings, full=full)))
