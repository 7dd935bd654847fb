"""The server that holds the store: is it one that loses nothing, and can it be backed up?"""

from __future__ import annotations

from typing import Any

from portcullis.config.settings import Settings
from portcullis.doctor.row import Row
from portcullis.store.postgres.address import Address
from portcullis.store.postgres.driver import connect, explained
from portcullis.store.postgres.place import refuse_unsafe


def examine_server(settings: Settings) -> Row:
    """Raises StoreError where it cannot be reached, or would lose what it acknowledged."""
    address = Address(settings.store_url)
    with explained(address), connect(address, "ledger", writes=True) as connection:
        refuse_unsafe(connection, address)
        wants = _wants(connection)
        number = connection.info.server_version
    version = f"PostgreSQL {number // 10_000}.{number % 10_000} at {address}"
    if wants:
        whats, remedies = zip(*wants, strict=True)
        return Row("store", "warn", f"{version}: {'; '.join(whats)}", "; ".join(remedies))
    return Row("store", "ok", f"{version}: durable, writable, checked by checksums")


def _wants(connection: Any) -> list[tuple[str, str]]:
    """What does not keep it from working, each with what a person can do about it."""
    found = []
    row = connection.execute(
        "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'), "
        "to_regnamespace('ledger') IS NOT NULL, rolreplication OR rolsuper, "
        "current_setting('data_checksums'), current_setting('wal_level'), "
        "current_setting('max_slot_wal_keep_size') FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    standby, creates, there, replicates, checksums, level, kept = row
    if standby:
        found.append(("it is a standby, which only reads", "name the primary server"))
    if not creates and not there:
        found.append(
            ("this role may not create schemas", "GRANT CREATE ON DATABASE ... TO this role")
        )
    if not replicates:
        found.append(("this role may not replicate: no backups", "ALTER ROLE ... REPLICATION"))
    if level == "minimal":
        found.append(("wal_level is minimal: no backups", "set wal_level to replica"))
    if checksums != "on":
        found.append(("damaged pages are not noticed", "`pg_checksums --enable`, server stopped"))
    if kept == "-1":
        found.append(
            (
                "a shipper that is away lets the server's log grow without bound",
                "set max_slot_wal_keep_size, for example to 10GB",
            )
        )
    return found
