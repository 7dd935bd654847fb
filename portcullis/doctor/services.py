"""What the processes stand on: the ledger's file, ports, Prefect, the backups, settings on disk."""

from __future__ import annotations

import http.client
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from portcullis.backup.packing import recipients_of
from portcullis.backup.target import Target
from portcullis.config.settings import HOME_SETTINGS, PREFIX, SECRETS, Settings
from portcullis.doctor.listening import holder, taken_ports
from portcullis.doctor.row import Row, checked
from portcullis.domain.model import MICRO
from portcullis.domain.money import duration
from portcullis.store.database import driver_of, explained
from portcullis.store.database import open_reader as open_file
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.opening import has_ledger, open_reader, place_of

ANSWER_SECONDS = 2.0
PROBE = "doctor.probe"
OURS = ("-m portcullis", "bin/portcullis ", "-m tasks.server")
"""What is in the commands of our own processes; a checkout's folder may have our name as well."""

LATE_BACKUP = 2 * 3600 * MICRO


def examine(settings: Settings, now: int) -> list[Row]:
    """Every row of what runs, or would run, on this machine."""
    return [
        checked("store", lambda: _store(settings)),
        checked("ledger", lambda: _ledger(settings)),
        checked("plain secrets", lambda: _plain_secrets(settings)),
        checked("ports", lambda: _ports(settings)),
        checked("Prefect", lambda: _prefect(settings)),
        checked("backups", lambda: _backups(settings, now)),
    ]


def _store(settings: Settings) -> Row:
    """Whether the server can be reached, is one of ours to use, and takes what is written."""
    if not settings.store_url:
        return Row("store", "ok", f"SQLite files in {settings.home_path}")
    place_of(settings)  # says what to do where the driver is missing
    from portcullis.doctor.server import examine_server

    return examine_server(settings)


def _ledger(settings: Settings) -> Row:
    """Mode and schema of the file, and whether its end is what was signed."""
    home = settings.home_path
    if not has_ledger(settings):
        return Row("ledger", "skip", "there is none yet; it is made at the first start")
    with open_reader(settings) as reader:
        events, note = reader.head().position, reader.checkpoint()
    try:
        load_verifier(home / PUBLIC_FILE).open(note)
    except ValueError as error:
        remedy = "run `portcullis ledger verify`; see `portcullis backup list`"
        return Row("ledger", "fail", f"{events} events, and {error}", remedy)
    if settings.store_url:
        return Row("ledger", "ok", f"{events} events on the server; the signature is as it must be")
    with explained(home), open_file(home / "ledger.db").connect() as connection:
        (mode,) = driver_of(connection).execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        return Row("ledger", "warn", f"journal mode {mode}", "the worker sets it at its next start")
    return Row("ledger", "ok", f"{events} events; mode and signature are as they must be")


def _plain_secrets(settings: Settings) -> Row:
    """Secrets do not belong into files of settings, which people copy and send around."""
    names = {f"{PREFIX}{name.upper()}" for name in SECRETS - {"administrator_key"}}
    found = [
        f"{path} ({line.partition('=')[0].strip()})"
        for path in (Path(".env"), settings.home_path / HOME_SETTINGS)
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.partition("=")[0].strip() in names and _is_secret(line.partition("=")[2].strip())
    ]
    if found:
        remedy = "put each into a file of its own that only you read, and name it with _FILE"
        return Row("plain secrets", "warn", f"in {', '.join(found)}", remedy)
    return Row("plain secrets", "ok", "no secret stands in a file of settings")


def _is_secret(value: str) -> bool:
    """An address of a server without a password in it is none."""
    if value.startswith(("postgresql://", "postgres://")):
        return "password=" in value or ":" in value.partition("//")[2].rpartition("@")[0]
    return bool(value)


def _ports(settings: Settings) -> Row:
    """Ports that somebody else holds; those of our own processes are as they should be."""
    taken = taken_ports(settings)
    strange = [
        f"{port}{holder(port)}: {name}"
        for name, port in taken.items()
        if not any(word in holder(port) for word in OURS)
    ]
    if strange:
        remedy = "stop what listens there, or set the named variable to a free port"
        return Row("ports", "fail", f"taken: {'; '.join(strange)}", remedy)
    ours = ", ".join(map(str, taken.values()))
    return Row("ports", "ok", f"{ours} in use by our own processes" if taken else "free")


def _prefect(settings: Settings) -> Row:
    if not settings.operations:
        return Row("Prefect", "skip", "PORTCULLIS_OPERATIONS=false: no evidence of the flows")
    try:
        installed = version("prefect")
    except PackageNotFoundError:
        remedy = "install the extra `operations`, or the gate stays shut for want of evidence"
        return Row("Prefect", "warn", "it is not installed", remedy)
    running = _asked(settings, "/api/admin/version")
    if running is None:
        return Row("Prefect", "skip", f"{installed} is installed; `portcullis up` starts it")
    if running != installed:
        remedy = "stop it and start again with `portcullis up`"
        return Row("Prefect", "warn", f"{running} runs, {installed} is installed", remedy)
    return Row("Prefect", "ok", f"{running} answers on port {settings.prefect_port}")


def _asked(settings: Settings, path: str) -> Any:
    connection = http.client.HTTPConnection(
        settings.host, settings.prefect_port, timeout=ANSWER_SECONDS
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _backups(settings: Settings, now: int) -> Row:
    """Whether the target takes a file, who can read what is there, and how old the newest is."""
    recipients = recipients_of(settings.backup_recipients)
    target = Target(settings.backup_address)
    target.write(PROBE, b"")
    target.discard(PROBE)
    found = target.manifests()
    newest = f"newest {duration(now - found[-1].made_at)} old" if found else "none yet"
    says = f"{settings.backup_address} can be written to; {newest}"
    if not settings.backup_target:
        remedy = "set PORTCULLIS_BACKUP_TARGET to another disk or machine"
        return Row("backups", "warn", f"{says}; on the disk that they should outlive", remedy)
    if not recipients:
        remedy = "set PORTCULLIS_BACKUP_RECIPIENTS; `portcullis backup key FILE` makes the keys"
        return Row("backups", "warn", f"{says}; not encrypted", remedy)
    if found and now - found[-1].made_at > LATE_BACKUP:
        return Row("backups", "warn", says, "is `portcullis up` running? see the flow `backup`")
    return Row("backups", "ok", f"{says}; encrypted to {len(recipients)} keys")
