"""A restore that a person asked for in Prefect: what it would do, its proof, and its report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from portcullis.backup import packing, replaced
from portcullis.backup.in_place import restore_in_place
from portcullis.backup.manifest import Manifest, stamp
from portcullis.backup.restore import Record, Restored, Wanted, choose, restore
from portcullis.backup.target import Target
from portcullis.config.settings import Settings
from portcullis.domain.model import MICRO
from portcullis.errors import StoreLocked, UsageError
from portcullis.store.keys import PRIVATE_FILE, PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock

RESTORED_FOLDER = "restored"
ID_SHOWN = 8


class Asked(NamedTuple):
    """What is to come back: a backup by name, an event or a moment; nothing: as last shipped."""

    backup: str | None
    event: int | None
    moment: datetime | None

    @property
    def wanted(self) -> Wanted:
        """The event and the moment (us); one without a zone is UTC."""
        if self.moment is None:
            return Wanted(self.event, None)
        moment = self.moment if self.moment.tzinfo else self.moment.replace(tzinfo=UTC)
        return Wanted(self.event, int(moment.timestamp() * MICRO))

    @property
    def goes_on(self) -> bool:
        """Whether shipments count: not where a backup alone was named."""
        return self.backup is None or self.wanted != Wanted()


class Outcome(NamedTuple):
    """A restore, where it lies, and the proof of one that is in place."""

    restored: Restored
    folder: str
    proven: replaced.Proven | None = None


def chosen(settings: Settings, asked: Asked) -> Manifest:
    """The backup that would be restored. Raises NotFound, StoreError."""
    return choose(Target(settings.backup_address), asked.backup, asked.wanted, settings.home_path)


def refuse_running_worker(settings: Settings) -> None:
    """Raises StoreLocked while a worker has the ledger: nothing can be replaced under it."""
    try:
        with WriterLock(settings.home_path / "ledger.lock"):
            return
    except StoreLocked as error:
        raise StoreLocked(
            f"the worker is running: {error}",
            remedy="stop the worker, then run this again; beside it, restore into a folder",
        ) from error


def ledger_id(settings: Settings) -> str:
    """What a person types to confirm: how the id of this home's ledger begins."""
    return load_verifier(settings.home_path / PUBLIC_FILE).name.rpartition("/")[2][:ID_SHOWN]


def refusal(settings: Settings, typed: str, name: str, reason: str) -> str | None:
    """Why a person's word does not do; None where it does."""
    if typed.strip() != ledger_id(settings):
        return f"{typed.strip()!r} is not how this ledger's id begins: nothing was changed"
    if not name.strip() or not reason.strip():
        return "the name or the reason is missing: nothing was changed"
    return None


def beside(settings: Settings, asked: Asked, manifest: Manifest, by: str, now: int) -> Outcome:
    """Restore into a folder of its own in the home. Raises StoreError, NotFound, UsageError."""
    folder = settings.home_path / RESTORED_FOLDER / stamp(now)
    found = restore(
        Target(settings.backup_address),
        manifest,
        asked.wanted,
        folder,
        _identities(settings),
        key=settings.home_path / PRIVATE_FILE,
        record=Record(by, "to look at", now),
        shipped=asked.goes_on,
    )
    return Outcome(found, str(folder))


def in_place(
    settings: Settings, asked: Asked, manifest: Manifest, by: str, reason: str, now: int
) -> Restored:
    """Put it where the live ledger is; it counts once proven. Raises as `restore_in_place`."""
    return restore_in_place(
        settings.home_path,
        Target(settings.backup_address),
        manifest,
        asked.wanted,
        _identities(settings),
        by=by,
        reason=reason,
        now=now,
        shipped=asked.goes_on,
    )


def prove(settings: Settings, found: Restored) -> Outcome:
    """Verify and fold the ledger where it lies now, and let it stay. Raises StoreError."""
    proven = replaced.prove(settings.home_path, found.position, found.kept)
    replaced.settle(settings.home_path)
    return Outcome(found, str(settings.home_path), proven)


def rows(outcome: Outcome, by: str, reason: str) -> list[dict[str, Any]]:
    """The report."""
    found, proven = outcome.restored, outcome.proven
    said: dict[str, Any] = {
        "what": f"the ledger up to event {found.position}",
        "of (UTC)": f"{datetime.fromtimestamp(found.at / MICRO, UTC):%Y-%m-%d %H:%M:%S}",
        "from": f"{found.name} and {found.shipments} shipments",
        "where": outcome.folder,
        "RTO": f"{found.took / MICRO:.2f} s",
        "asked by": by,
        "reason": reason,
    }
    if proven is not None:
        same = {True: "yes", False: "NO", None: "cannot be told: the old one does not reach there"}
        said["same state as before"] = same[proven.same]
        said["events in place"] = proven.events
        said["what was there"] = str(found.kept)
    said |= {f"not used {n}": each for n, each in enumerate(found.problems, start=1)}
    return [{"what": name, "says": value} for name, value in said.items()]


def _identities(settings: Settings) -> list[Any]:
    file = settings.backup_identity
    return packing.identities_in(Path(file)) if file else []


def both_given(asked: Asked) -> None:
    """Raises UsageError where an event and a moment contradict each other."""
    if asked.event is not None and asked.moment is not None:
        raise UsageError("an event and a moment are given", remedy="give one of them")
