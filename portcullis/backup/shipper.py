"""Shipping: every second what is new of the ledger goes to the backup target.

A process of its own, so that a slow target touches nothing else. It reads the ledger's file, keeps
its progress in a file that only it writes, and vouches for itself by the verdict `shipped`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from portcullis.backup.manifest import MANIFEST, PACKED, Manifest
from portcullis.backup.restore import of_this_past
from portcullis.backup.shipment import FOLDER, LABEL_MAX, SHIPMENT, ShipmentName, pack, read_label
from portcullis.backup.target import Target
from portcullis.domain.model import SECOND, Verdict
from portcullis.domain.money import duration
from portcullis.errors import LedgerBroken, NotFound, PortcullisError, StoreError
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.merkle import Tree
from portcullis.store.pieces import Piece, read_piece
from portcullis.store.reading import LedgerReader

PROGRESS_FILE = "shipping.json"
LOCK_FILE = "shipping.lock"
VOUCH_EVERY = 20 * SECOND
VOUCH_LASTS = 60 * SECOND
LATE = 30 * SECOND
FIRST_LOOK_SECONDS = 0.2
PIECES_AT_ONCE = 50
SHIPMENTS_MAX = 20_000
"""So many shipments at the target, and small ones are shipped again as one large one."""

MERGED_AT_ONCE = 2_000


class Progress(msgspec.Struct, frozen=True):
    """How far was shipped: the events up to `position`, whose root is `root` (hexadecimal)."""

    ledger: str
    generation: int
    position: int
    root: str


class Shipped(NamedTuple):
    """One turn: pieces sent, and where the ledger and the shipping stand after it."""

    pieces: int
    position: int
    behind: int


class Shipper:
    """Ships one home's ledger to one target. Times come from `now`, in microseconds."""

    def __init__(
        self, home: Path, target: Target, recipients: Sequence[str], now: Callable[[], int]
    ) -> None:
        self._home, self._ledger = home, home / LEDGER_FILE
        self._target, self._shipments = target, target.folder(FOLDER)
        self._recipients, self._now = tuple(recipients), now
        self._progress: Progress | None = None
        self._tree = Tree()
        self._file = (0, 0)
        self._sizes: dict[str, int] = {}
        self._backed_up: dict[str, int] = {}
        """Backups that are known to be of this ledger's own past, with the event each ends at."""

        self._seen: set[str] = set()

        self._caught_up_at = now()
        self._mended = 0

    def turn(self) -> Shipped:
        """Ship what is new. Raises StoreError where ledger or target cannot be used."""
        progress = self._progress if self._is_same_file() else None
        if progress is None:
            progress = self._begin()
        sent = 0
        while sent < PIECES_AT_ONCE:
            piece = self._next(progress)
            if not piece.rows:
                break
            progress = self._send(piece, progress)
            sent += 1
            if piece.head is not None:
                break
        if sent < PIECES_AT_ONCE:
            self._caught_up_at = self._now()
        return Shipped(sent, progress.position, self._now() - self._caught_up_at)

    def look_after(self) -> int:
        """Send again what is missing at the target, and delete what backups stand for; how many
        were missing. Raises StoreError.
        """
        progress = self._progress
        if progress is None:
            return 0
        self._shipments.sweep(progress.ledger)
        there = self._there(progress)
        floor = self._floor(progress)
        missing = gaps(list(there), floor, progress.position)
        for after, through in missing:
            self._send_again(after, through, progress)
        self._merge(there, progress)
        for name in there:
            if name.last <= floor:
                self._shipments.discard(f"{name}{SHIPMENT}")
                self._sizes.pop(str(name), None)
        self._mended += len(missing)
        return len(missing)

    def verdict(self, problem: str = "") -> Verdict:
        """What this process vouches for now."""
        now = self._now()
        behind = now - self._caught_up_at
        if behind > LATE:
            why = problem or "the target is too slow"
            summary, passed = f"nothing shipped for {duration(behind)}: {why}", False
        else:
            position = self._progress.position if self._progress else 0
            summary, passed = f"everything up to event {position} is at the target", True
            if self._mended:
                summary += f"; {self._mended} gaps were found there and filled again"
        return Verdict("shipped", passed, now, now + VOUCH_LASTS, summary, "shipper")

    # --- where it stands ------------------------------------------------------------------------

    def _is_same_file(self) -> bool:
        """False after a restore in place put another file there."""
        return self._file == _identity(self._ledger)

    def _begin(self) -> Progress:
        """Go on from the progress kept, if the ledger is still of that past; else from its newest
        backup, as a generation of its own.
        """
        self._file = _identity(self._ledger)
        self._backed_up.clear()
        self._seen.clear()
        with LedgerReader(self._home) as reader:
            ledger, end = reader.ledger_id, reader.head().position
            kept = self._kept(ledger)
            base = reader.base()
            begins = base.position if base else 0
            if kept is not None and begins <= kept.position <= end:
                self._tree = reader.tree(kept.position)
                if self._tree.root().hex() == kept.root:
                    self._progress = kept
                    return kept
            start = max(self._backups(ledger, end).values(), default=begins)
            self._tree = reader.tree(start)
        generations = [n.generation for n in self._all(ledger)] + [kept.generation if kept else 0]
        begun = Progress(ledger, max(generations) + 1, start, self._tree.root().hex())
        self._keep(begun)
        return begun

    def _kept(self, ledger: str) -> Progress | None:
        try:
            found = msgspec.json.decode((self._home / PROGRESS_FILE).read_bytes(), type=Progress)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.ledger == ledger else None

    def _keep(self, progress: Progress) -> None:
        path = self._home / PROGRESS_FILE
        try:
            draft = path.with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(progress))
            draft.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path}: {error.strerror}", remedy="let this user write the home; free its disk"
            ) from error
        self._progress = progress

    def _next(self, progress: Progress) -> Piece:
        try:
            return read_piece(self._ledger, progress.position)
        except LedgerBroken:
            self._progress = None  # it may begin behind that now: the next turn looks
            raise

    # --- sending --------------------------------------------------------------------------------

    def _send(self, piece: Piece, before: Progress) -> Progress:
        tree = Tree.from_bytes(self._tree.size, self._tree.to_bytes())
        tree.extend([row.hash for row in piece.rows])
        name = ShipmentName(before.ledger[:8], before.generation, piece.after + 1, piece.last)
        self._put(piece, name, before.ledger)
        after = msgspec.structs.replace(before, position=piece.last, root=tree.root().hex())
        self._keep(after)
        self._tree = tree
        return after

    def _put(self, piece: Piece, name: ShipmentName, ledger: str) -> None:
        note = ""
        if piece.head is not None:
            public = load_verifier(self._home / PUBLIC_FILE)
            note = public.note(piece.head.statement(public.name).text(), piece.head.signature)
        data = pack(piece, name, ledger, note, self._now(), self._recipients)
        file = f"{name}{SHIPMENT}"
        self._shipments.write(file, data)
        read_label(self._shipments.read(file), name)
        self._sizes[str(name)] = len(data)

    # --- looking after what was sent ------------------------------------------------------------

    def _all(self, ledger: str) -> dict[ShipmentName, int]:
        found: dict[ShipmentName, int] = {}
        for text, size in self._shipments.sizes(SHIPMENT).items():
            name = ShipmentName.parse(text)
            if name is not None and name.ledger == ledger[:8]:
                found[name] = size
        return found

    def _there(self, progress: Progress) -> list[ShipmentName]:
        """The shipments of this generation that are whole, as far as their sizes tell."""
        found = []
        for name, size in sorted(self._all(progress.ledger).items()):
            if name.generation != progress.generation or name.last > progress.position:
                continue
            if size == self._sizes.setdefault(str(name), size) and size > LABEL_MAX // 100:
                found.append(name)
        return found

    def _backups(self, ledger: str, end: int) -> dict[str, int]:
        """As `_backed_up`, after a look at the target."""
        whole = self._target.sizes(PACKED)
        there = [name for name in self._target.sizes(MANIFEST) if name in whole]
        known = {n: position for n, position in self._backed_up.items() if n in there}
        fresh = [self._manifest(name) for name in there if name not in self._seen]
        ours = [m for m in fresh if m and m.ledger == ledger and m.position <= end]
        known |= {m.name: m.position for m in of_this_past(self._home, ours)} if ours else {}
        self._seen, self._backed_up = set(there), known
        return known

    def _manifest(self, name: str) -> Manifest | None:
        """None for one that cannot be read: it stands for nothing."""
        with suppress(StoreError, NotFound):
            return self._target.manifest(name)
        return None

    def _floor(self, progress: Progress) -> int:
        """Where the newest backup but one ends: nothing before it is needed to go on from one."""
        newest = sorted(self._backups(progress.ledger, progress.position).values())[-2:]
        return min(newest, default=0)

    def _send_again(self, after: int, through: int, progress: Progress) -> None:
        while after < through:
            piece = read_piece(self._ledger, after, through)
            if not piece.rows:
                return
            name = ShipmentName(
                progress.ledger[:8], progress.generation, piece.after + 1, piece.last
            )
            self._put(piece, name, progress.ledger)
            after = piece.last

    def _merge(self, there: Sequence[ShipmentName], progress: Progress) -> None:
        """Ship many small ones again as few large ones, so that their number stays bounded."""
        if len(there) <= SHIPMENTS_MAX:
            return
        oldest = there[:MERGED_AT_ONCE]
        first, last = min(n.first for n in oldest), max(n.last for n in oldest)
        self._send_again(first - 1, last, progress)
        for name in oldest:
            self._shipments.discard(f"{name}{SHIPMENT}")


def gaps(there: Sequence[ShipmentName], floor: int, position: int) -> list[tuple[int, int]]:
    """The stretches (after, through) between `floor` and `position` that no shipment covers."""
    found: list[tuple[int, int]] = []
    reached = floor
    for name in sorted(there, key=lambda each: (each.first, each.last)):
        if name.first > reached + 1:
            found.append((reached, min(name.first - 1, position)))
        reached = max(reached, name.last)
    if reached < position:
        found.append((reached, position))
    return found


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror}", remedy="start the worker: there is nothing to ship yet"
        ) from error
    return found.st_dev, found.st_ino


def run(
    shipper: Shipper,
    home: Path,
    every: int,
    leave: Callable[[Verdict], object],
    is_stopping: Callable[[float], bool],
    say: Callable[[str], None],
) -> None:
    """Ship until told to stop: `is_stopping(seconds)` waits so long and says whether.

    A target or ledger that cannot be used is told once, waited for, and told by the verdict.
    Raises StoreLocked where another shipper is at it.
    """
    with WriterLock(home / LOCK_FILE):
        while not (home / LEDGER_FILE).exists():
            if is_stopping(FIRST_LOOK_SECONDS):
                return
        told, vouched, looked = "", 0.0, 0.0
        while True:
            began = time.monotonic()
            problem = _tried(shipper, look=began - looked >= VOUCH_EVERY / SECOND)
            looked = began if began - looked >= VOUCH_EVERY / SECOND else looked
            if problem != told:
                say(problem or "shipping again" if told or problem else "")
                told = problem
            if began - vouched >= VOUCH_EVERY / SECOND:
                vouched = began if _left(leave, shipper.verdict(problem), say) else vouched
            pause = every / SECOND - (time.monotonic() - began)
            if is_stopping(max(pause, 0.0)):
                return


def _tried(shipper: Shipper, *, look: bool) -> str:
    """One turn; why it failed, empty when it did not."""
    try:
        shipper.turn()
        if look:
            shipper.look_after()
    except PortcullisError as error:
        return str(error)
    return ""


def _left(leave: Callable[[Verdict], object], verdict: Verdict, say: Callable[[str], None]) -> bool:
    try:
        leave(verdict)
    except PortcullisError as error:
        say(f"the verdict could not be left: {error}")
        return False
    return True
