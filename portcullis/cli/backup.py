"""`portcullis backup` and `portcullis restore`: a second copy, and the way back from it."""

from __future__ import annotations

import getpass
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from portcullis.backup import packing, replaced
from portcullis.backup.in_place import restore_in_place
from portcullis.backup.make import make, prove
from portcullis.backup.manifest import PACKED, Manifest, Proof
from portcullis.backup.restore import (
    Record,
    Restored,
    Wanted,
    check_whole,
    choose,
    drill,
    restore,
)
from portcullis.backup.target import Target
from portcullis.cli import context, servers
from portcullis.cli.output import (
    Form,
    FormOption,
    YesOption,
    confirm,
    console,
    messages,
    show,
    table,
)
from portcullis.cli.times import instant
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.errors import NotFound, PortcullisError, UsageError
from portcullis.store.opening import has_ledger, place_of

app = typer.Typer(no_args_is_help=True, help="Make, list, verify and drill backups.")
MICRO = 1_000_000

TargetOption = typer.Option("", "--target", help="folder or fsspec address; else the setting")
IdentityOption = typer.Option(None, "--identity", help="file with the key that opens backups")
NameArgument = typer.Argument(None, help="a backup of `backup list`; default: the newest")


@app.command("create")
def create(
    target: str = TargetOption,
    new_only: bool = typer.Option(
        False, "--new-only", help="verify what is new since the last one, not every event"
    ),
    output: Form = FormOption,
) -> None:
    """Back the home up beside a running worker; read back what was stored; delete old ones."""
    settings = context.settings()
    if not has_ledger(settings):
        raise NotFound(
            f"there is no ledger in {settings.home_path}", remedy="start with `portcullis up`"
        )
    made = make(
        settings.home_path,
        settings.config_path,
        Target(target or settings.backup_address),
        packing.recipients_of(settings.backup_recipients),
        SystemClock().now(),
        whole=not new_only,
        source=servers.source(settings),
    )
    if made.manifest.server:
        from portcullis.backup.wal import forget_before_oldest

        forget_before_oldest(Target(target or settings.backup_address))
    body = {**_row(made.manifest), "took_s": made.took / MICRO, "removed": made.removed}
    show(body, output, _made)


@app.command("list")
def list_backups(target: str = TargetOption, output: Form = FormOption) -> None:
    """Every backup at the target, oldest first."""
    where = Target(target or context.settings().backup_address)
    rows = [_row(each, where.proof(each.name)) for each in where.manifests()]
    for each in where.damaged:
        messages.print(f"{each}: its manifest cannot be read", markup=False)
    columns = ("name", "event", "newest", "size_mb", "encrypted", "verified")
    show(
        rows,
        output,
        lambda found: console.print(
            table(f"Backups at {where.address}", columns, ([r[c] for c in columns] for r in found))
        ),
    )


@app.command("verify")
def verify(
    name: str = NameArgument,
    target: str = TargetOption,
    identity: Path | None = IdentityOption,
    output: Form = FormOption,
) -> None:
    """Fetch a backup and check it: every byte, and with the key also chain and states."""
    settings = context.settings()
    where = Target(target or settings.backup_address)
    place = place_of(settings) if settings.store_url else None
    manifest = choose(where, name, Wanted(), settings.home_path, place)
    keys = _keys(settings, identity)
    if manifest.server and (keys or not manifest.recipients):
        drilled = servers.drilled_server(settings, where, manifest, keys, SystemClock().now())
        says = f"holds: {drilled.restored.position} events checked, by a server that ran on it"
        show({"name": manifest.name, "says": says}, output, _told)
        return
    home = settings.home_path if settings.home_path.is_dir() else None
    with tempfile.TemporaryDirectory(dir=home, prefix=".drill-") as scratch:
        if manifest.recipients and not keys:
            packed = Path(scratch) / "packed"
            where.get(manifest.name + PACKED, packed)
            check_whole(packed, manifest)
            says = (
                "every byte is as it was stored; without its key nothing is known of what is in it"
            )
        else:
            folder = Path(scratch) / "home"
            found = restore(where, manifest, Wanted(), folder, keys, shipped=False)
            now = SystemClock().now()
            prove(where, manifest.name, Proof(now, restored=True, took=found.took))
            says = f"holds: {found.position} events checked"
    show({"name": manifest.name, "says": says}, output, _told)


@app.command("drill")
def drill_command(
    name: str = NameArgument,
    target: str = TargetOption,
    identity: Path | None = IdentityOption,
    output: Form = FormOption,
) -> None:
    """Restore beside the live store, verify, fold, compare with the live ledger. Ends with 1 where
    the states differ.
    """
    settings = context.settings()
    where = Target(target or settings.backup_address)
    now, keys = SystemClock().now(), _keys(settings, identity)
    if settings.store_url:
        manifest = choose(where, name, Wanted(), settings.home_path, place_of(settings))
        found = servers.drilled_server(settings, where, manifest, keys, now)
    else:
        manifest = choose(where, name, Wanted(), settings.home_path)
        found = drill(settings.home_path, where, manifest, keys, now)
    body = {
        "name": manifest.name,
        "events": found.events,
        "same_state": found.same,
        "holds_key": bool(manifest.recipients),
        "rto_s": found.rto / MICRO,
        "rpo_s": found.rpo / MICRO,
        "shipments": found.restored.shipments,
        "problems": list(found.restored.problems),
    }
    show(body, output, _drilled)
    if not found.same:
        raise typer.Exit(1)


@app.command("key")
def key(
    file: Path = typer.Argument(help="where the private key is written; keep it elsewhere"),
    output: Form = FormOption,
) -> None:
    """Make a pair of keys: the private one into a file, the public one for the setting."""
    private, public = packing.new_identity()
    try:
        descriptor = os.open(file.expanduser(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}", remedy="name a file that is not there yet"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(f"# public key: {public}\n{private}\n")
    body = {"public": public, "file": str(file)}
    show(body, output, _key)


def restore_command(
    name: str | None = NameArgument,
    to: Path | None = typer.Option(None, "--to", help="a folder that is not there yet"),
    in_place: bool = typer.Option(False, "--in-place", help="put it where the live ledger is"),
    event: int | None = typer.Option(None, "--event", min=1, help="no later than this event"),
    at: str = typer.Option("", "--at", help="no later than this UTC time, ISO form"),
    reason: str = typer.Option("", "--reason", help="why; recorded, needed with --in-place"),
    target: str = TargetOption,
    identity: Path | None = IdentityOption,
    backup_only: bool = typer.Option(
        False, "--backup-only", help="without what was shipped since the backup"
    ),
    key_file: Path | None = typer.Option(
        None, "--key", help="the ledger's signing key, where the backup has none"
    ),
    yes: bool = YesOption,
    output: Form = FormOption,
) -> None:
    """Restore the ledger as last shipped, as at an event or a moment, or as in the backup named.

    In place: the worker must be stopped, what was there is kept aside, and the gate stays shut
    until a person opens it.
    """
    settings = context.settings()
    if (to is None) is not in_place:
        raise UsageError("where to?", remedy="give --to FOLDER or --in-place, not both")
    wanted = Wanted(event, instant(at, "--at") if at else None)
    where = Target(target or settings.backup_address)
    keys = _keys(settings, identity)
    if settings.store_url:
        found = servers.restored_server(where, name, wanted, to, keys, shipped=not backup_only)
        show(_restored(found, to or settings.home_path), output, servers.tell_of_server)
        return
    manifest = choose(where, name, wanted, settings.home_path)
    is_exact = name is not None and wanted == Wanted()
    shipped = not (backup_only or is_exact)
    if to is not None:
        record = Record(getpass.getuser(), reason.strip() or "to look at", SystemClock().now())
        folder = to.expanduser()
        found = restore(
            where, manifest, wanted, folder, keys, key=key_file, record=record, shipped=shipped
        )
    else:
        if not reason.strip():
            raise UsageError("the reason is missing", remedy="say why with --reason")
        confirm("restore", f"This replaces the ledger of {settings.home_path}", yes)
        found = restore_in_place(
            settings.home_path,
            where,
            manifest,
            wanted,
            keys,
            by=getpass.getuser(),
            reason=reason.strip(),
            now=SystemClock().now(),
            shipped=shipped,
        )
        _prove(settings.home_path, found)
    show(_restored(found, to or settings.home_path), output, _tell)


# --- under the hood -------------------------------------------------------------------------------


def _prove(home: Path, found: Restored) -> None:
    """What does not hold where it is now is not left there."""
    try:
        proven = replaced.prove(home, found.position, found.kept)
    except PortcullisError:
        replaced.put_back(home)
        messages.print("what was there was put back", markup=False)
        raise
    replaced.settle(home)
    if proven.same is False:
        messages.print("it folds to another state than the ledger that was there", markup=False)


def _told(body: dict[str, Any]) -> None:
    console.print(f"{body['name']}: {body['says']}", markup=False)


def _keys(settings: Settings, identity: Path | None) -> list[Any]:
    chosen = identity or (Path(settings.backup_identity) if settings.backup_identity else None)
    return packing.identities_in(chosen) if chosen else []


def _said(at: int) -> str:
    return f"{datetime.fromtimestamp(at / MICRO, UTC):%Y-%m-%d %H:%M:%S}"


def _row(manifest: Manifest, proof: Proof | None = None) -> dict[str, Any]:
    verified = ""
    if proof is not None:
        how = "restored" if proof.restored else "read back"
        verified = f"{how} {_said(proof.verified_at)}"
    return {
        "name": manifest.name,
        "event": manifest.position,
        "newest": _said(manifest.at),
        "size_mb": round(manifest.size / 1e6, 2),
        "encrypted": bool(manifest.recipients),
        "verified": verified,
        "checkpoint": manifest.checkpoint,
    }


def _made(body: dict[str, Any]) -> None:
    how = "encrypted" if body["encrypted"] else "not encrypted"
    console.print(
        f"{body['name']}: {body['event']} events, {body['size_mb']} MB, {how}, "
        f"in {body['took_s']:.1f} s",
        markup=False,
    )
    if not body["encrypted"]:
        console.print("it holds no key of the ledger: keep ledger.key elsewhere, or encrypt")
    for name in body["removed"]:
        console.print(f"{name}: deleted, newer ones stand for it", markup=False)


def _drilled(body: dict[str, Any]) -> None:
    same = "the same state" if body["same_state"] else "ANOTHER STATE"
    console.print(
        f"{body['name']}: {body['events']} events restored and folded to {same} as the live "
        f"ledger; RTO {body['rto_s']:.2f} s, RPO {body['rpo_s']:.1f} s",
        markup=False,
    )


def _key(body: dict[str, Any]) -> None:
    console.print(f"private key  {body['file']}: move it to where only you read it", markup=False)
    console.print(f"public key   PORTCULLIS_BACKUP_RECIPIENTS={body['public']}", markup=False)


def _restored(found: Restored, folder: Path) -> dict[str, Any]:
    return {
        "name": found.name,
        "folder": str(folder),
        "event": found.position,
        "at": _said(found.at),
        "took_s": found.took / MICRO,
        "kept": None if found.kept is None else str(found.kept),
        "shipments": found.shipments,
        "problems": list(found.problems),
    }


def _tell(body: dict[str, Any]) -> None:
    console.print(
        f"{body['folder']}: the ledger up to event {body['event']} ({body['at']} UTC) of "
        f"{body['name']} and {body['shipments']} shipments, verified, in {body['took_s']:.2f} s",
        markup=False,
    )
    for problem in body["problems"]:
        console.print(f"not used: {problem}", markup=False)
    if body["kept"]:
        console.print(f"what was there is in {body['kept']}", markup=False)
        console.print(
            "start the worker; it compares with the venue, and the gate stays shut until "
            "`portcullis mode release`",
            markup=False,
        )
