"""`portcullis archive`: the events that left the ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from portcullis.backup import archive
from portcullis.backup.packing import identities_in, recipients_of
from portcullis.backup.restore import of_this_past
from portcullis.backup.target import Target
from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.money import duration
from portcullis.errors import NotFound
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.export import evidence_of, line_of
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.ledger import KEPT_EVENTS
from portcullis.store.note import Verifier
from portcullis.store.opening import has_ledger, open_reader, place_of
from portcullis.wiring import configured_plan

app = typer.Typer(no_args_is_help=True, help="Archive old events, and look at what is archived.")
TargetOption = typer.Option("", "--target", help="folder or fsspec address; else the setting")
IdentityOption = typer.Option(None, "--identity", help="file with the key that opens backups")


@app.command("create")
def create(
    target: str = TargetOption,
    retire: bool = typer.Option(
        False, "--retire", help="ask the worker to drop what is archived and old enough"
    ),
    output: Form = FormOption,
) -> None:
    """Archive the segments older than `keep_online`, each read back."""
    settings = context.settings()
    _ledger(settings)
    now = SystemClock().now()
    where = Target(target or settings.backup_address)
    through = oldest_kept(settings, now) - 1
    recipients = recipients_of(settings.backup_recipients)
    place = place_of(settings)
    made = archive.archive(settings.home_path, where, recipients, through, now, place)
    public = load_verifier(settings.home_path / PUBLIC_FILE)
    reached = archive.archived_through(where, public.name.rpartition("/")[2])
    keep = configured_plan(settings).keep_online
    body = {
        "segments": [str(name) for name in made],
        "through": reached,
        "keep": duration(keep),
        "retired": _retired(settings, where, min(reached, through)) if retire else "",
    }
    show(body, output, _told)


@app.command("verify")
def verify(
    target: str = TargetOption,
    identity: Path | None = IdentityOption,
    output: Form = FormOption,
) -> None:
    """Check every archived event and seal, and that they lead to where the ledger begins. Ends with
    1 if not.
    """
    settings = context.settings()
    where, public = _at(settings, target)
    found = archive.check(where, public, _keys(settings, identity), place_of(settings))
    show(
        {**found._asdict(), "holds": not found.problem},
        output,
        lambda body: console.print(
            f"does not hold: {body['problem']}"
            if body["problem"]
            else f"holds: {body['segments']} segments, every event up to {body['last']}",
            markup=False,
        ),
    )
    if found.problem:
        raise typer.Exit(1)


@app.command("export")
def export(
    target: str = TargetOption,
    identity: Path | None = IdentityOption,
    evidence: bool = typer.Option(False, "--evidence", help="as stored: for portcullis-verify"),
) -> None:
    """The events that are no longer in the ledger, as `event export` prints the others."""
    settings = context.settings()
    where, public = _at(settings, target)
    with open_reader(settings) as reader:
        base = reader.base()
    if base is None:
        raise NotFound("every event is in the ledger still", remedy="use `portcullis event export`")
    keys = _keys(settings, identity)
    for row in archive.archived_events(where, public, keys, base.position):
        sys.stdout.buffer.write(evidence_of(row) if evidence else line_of(row))
    sys.stdout.flush()


def _told(body: dict[str, Any]) -> None:
    console.print(
        f"{len(body['segments'])} segments archived; the archive holds everything up to event "
        f"{body['through']}; younger than {body['keep']} stays in the ledger",
        markup=False,
    )
    if body["retired"]:
        console.print(body["retired"], markup=False)


def _retired(settings: Settings, where: Target, through: int) -> str:
    """Ask for it where a segment's worth of events can go; what came of that. A restore begins with
    a backup, so that what none holds stays.
    """
    with open_reader(settings) as reader:
        base, end, ledger = reader.base(), reader.head().position, reader.ledger_id
    ours = [each for each in where.manifests() if each.ledger == ledger and each.position <= end]
    backed_up = max(
        (m.position for m in of_this_past(settings.home_path, ours, place_of(settings))), default=0
    )
    begins = base.position if base else 0
    through = min(through, end - KEPT_EVENTS, backed_up)
    if through - begins < SEGMENT_EVENTS:
        return (
            f"nothing to drop yet: the ledger begins behind event {begins}, "
            f"and backups reach {backed_up}"
        )
    answer = context.request("retire", "archived and older than keep_online", through=through)
    return answer.detail


def oldest_kept(settings: Settings, now: int) -> int:
    """The first event that is too young to leave the ledger."""
    keep = configured_plan(settings).keep_online
    with open_reader(settings) as reader:
        return reader.first_since(now - keep)


def _ledger(settings: Settings) -> None:
    if not has_ledger(settings):
        raise NotFound(
            f"there is no ledger in {settings.home_path}", remedy="start with `portcullis up`"
        )


def _at(settings: Settings, target: str) -> tuple[Target, Verifier]:
    _ledger(settings)
    where = Target(target or settings.backup_address)
    return where, load_verifier(settings.home_path / PUBLIC_FILE)


def _keys(settings: Settings, identity: Path | None) -> list[Any]:
    chosen = identity or (Path(settings.backup_identity) if settings.backup_identity else None)
    return identities_in(chosen) if chosen else []
