"""A ledger that grows, its shipper, and the way back."""

from __future__ import annotations

from pathlib import Path

from portcullis.backup.restore import Wanted, choose, restore
from portcullis.backup.shipment import FOLDER, SHIPMENT, ShipmentName
from portcullis.backup.shipper import Shipper
from portcullis.domain.events import TimePassed
from portcullis.ports import Entry
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from tests.backup.conftest import NOW


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> int:
        return self.time


def ships(store, target, clock, recipients=()) -> Shipper:
    return Shipper(store, target, recipients, clock)


def write(store: Path, count: int) -> int:
    """Let the worker's ledger grow by so many facts; where it ends."""
    ledger = SqliteLedger(store)
    at = ledger.last_at()
    for number in range(count):
        ledger.append([Entry("system", at + number, "t", TimePassed())])
    end = ledger.head().position
    ledger.close()
    return end


def end_of(home: Path) -> tuple[int, bytes]:
    with LedgerReader(home) as reader:
        return reader.head()


def names(target) -> list[ShipmentName]:
    found = [ShipmentName.parse(text) for text in target.folder(FOLDER).sizes(SHIPMENT)]
    assert None not in found
    return sorted(found)  # type: ignore[type-var]


def file_of(target, name: ShipmentName) -> Path:
    return Path(target.address) / FOLDER / f"{name}{SHIPMENT}"


EVERYTHING = Wanted()


def back(store, target, tmp_path, wanted=EVERYTHING, **more):
    manifest = choose(target, None, wanted, store)
    folder = tmp_path / f"back-{len(list(tmp_path.iterdir()))}"
    found = restore(target, manifest, wanted, folder, (), key=store / PRIVATE_FILE, **more)
    assert verify(folder / "ledger.db", load_verifier(store / "ledger.pub")).ok
    return found, folder


def shipped_in_parts(store, target, clock) -> list[ShipmentName]:
    shipper = ships(store, target, clock)
    for _ in range(4):
        write(store, 10)
        shipper.turn()
    return names(target)
