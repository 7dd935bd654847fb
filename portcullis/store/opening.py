"""Opening the store that the settings name: files in the home, or schemas of a server."""

from __future__ import annotations

from portcullis.config.settings import Settings
from portcullis.errors import PortcullisError, StoreError
from portcullis.store.inbox import StoredInbox
from portcullis.store.keys import PUBLIC_FILE
from portcullis.store.ledger import SqliteLedger, StoredLedger
from portcullis.store.place import INBOX, LEDGER, Part, Place, SqliteFile
from portcullis.store.reading import LedgerReader


def open_ledger(settings: Settings) -> StoredLedger:
    """The ledger, for its one writer. Raises as `StoredLedger`, and StoreError for a home whose
    ledger is gone.
    """
    place = place_of(settings)
    if not _is_begun(settings):
        _refuse_another_ledger(settings, place)
    if not settings.store_url:
        return SqliteLedger(settings.home_path)
    from portcullis.store.postgres.ledger import PostgresLedger

    return PostgresLedger(settings.home_path, place)


def _refuse_another_ledger(settings: Settings, place: Place) -> None:
    """A home has one ledger for good: a wrong address, or a file that was removed, must not begin
    one without its locks, its limits and its approvers.
    """
    if (settings.home_path / PUBLIC_FILE).exists():
        raise StoreError(
            f"{settings.home_path} has a ledger already, and it is not in {place}",
            remedy="`portcullis restore` it, mend PORTCULLIS_STORE_URL, or name another home",
        )


def _is_begun(settings: Settings) -> bool:
    """Whether a ledger is there; an empty file is none."""
    path = settings.ledger_path
    return has_ledger(settings) and bool(settings.store_url or path.stat().st_size)


def open_inbox(settings: Settings) -> StoredInbox:
    """The inbox, for one process. Raises as `StoredInbox`."""
    return StoredInbox(place_of(settings, INBOX))


def open_reader(settings: Settings) -> LedgerReader:
    """The ledger, read-only. Raises as `LedgerReader`."""
    return LedgerReader(place_of(settings))


def has_ledger(settings: Settings) -> bool:
    """Whether a ledger was begun. Raises StoreError where the server cannot be asked."""
    if not settings.store_url:
        return settings.ledger_path.exists()
    place = place_of(settings)
    with place.explained(), place.reader().connect() as connection:
        return place.revision(connection) is not None


def is_own(settings: Settings, ledger: str) -> bool:
    """Whether who named this ledger is the worker of this home: another's has other accounts."""
    try:
        if not ledger or not has_ledger(settings):
            return False
        with open_reader(settings) as reader:
            return reader.ledger_id.startswith(ledger)
    except PortcullisError:
        return True  # the store cannot be asked now: that is told in its own row


def place_of(settings: Settings, part: Part = LEDGER) -> Place:
    """Where a part of the store lies. Raises ConfigError for an address that is none, StoreError
    without the server's driver.
    """
    if not settings.store_url:
        return SqliteFile(settings.home_path / part.file, part)
    try:  # loaded only where it is used: the worker on files needs none of it
        from portcullis.store.postgres.address import Address
        from portcullis.store.postgres.place import Schema
    except ImportError as error:
        raise StoreError(
            f"the driver of PostgreSQL cannot be loaded: {error}",
            remedy="pip install 'portcullis[postgres]', or in a checkout: make install",
        ) from error
    return Schema(Address(settings.store_url), part)
