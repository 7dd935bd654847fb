"""`portcullis ledger` and `portcullis replay`: is the record whole, and does it explain itself?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show
from portcullis.errors import NotFound
from portcullis.store.anchors import ANCHORS_FILE, read_anchors
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.opening import has_ledger, place_of
from portcullis.store.place import SqliteFile
from portcullis.store.verify import verify_place
from portcullis.worker.replay import replay as replay_records

app = typer.Typer(no_args_is_help=True, help="Verify the ledger.")


@app.command("verify")
def verify(
    file: Path | None = typer.Argument(None, help="a ledger file; default: the store in use"),
    key: Path | None = typer.Option(None, "--key", help="the public key; default: beside the file"),
    anchors: Path | None = typer.Option(None, "--anchors", help="checkpoints kept elsewhere"),
    output: Form = FormOption,
) -> None:
    """Check every hash, link and signature, and that nothing is missing. Ends with 1 if not."""
    settings = context.settings()
    if not (file.exists() if file else has_ledger(settings)):
        raise NotFound(
            f"there is no ledger at {file or place_of(settings)}",
            remedy="name the file, or set PORTCULLIS_HOME",
        )
    folder = file.parent if file else settings.home_path
    public = load_verifier(key or folder / PUBLIC_FILE)
    beside = anchors or folder / ANCHORS_FILE
    found = verify_place(
        SqliteFile(file) if file else place_of(settings),
        public,
        anchors=read_anchors(beside) if beside.exists() else (),
    )
    body = {name: value for name, value in found._asdict().items() if name != "mark"}
    show(body, output, lambda _: console.print(str(found), markup=False))
    if not found.ok:
        raise typer.Exit(1)


def replay(
    account: str = typer.Argument(None, help="one account; default: everything"),
    output: Form = FormOption,
) -> None:
    """Derive every decision again from the recorded facts and compare. Ends with 1 if not equal."""
    with context.open_ledger() as reader:
        found = replay_records(reader, account)
    body = {
        "agrees": found.agrees,
        "through": found.through,
        "facts": found.facts,
        "compared": found.compared,
        "differences": [d._asdict() for d in found.differences],
    }
    show(body, output, lambda body: _draw(body, account))
    if not found.agrees:
        raise typer.Exit(1)


def _draw(body: dict[str, Any], account: str | None) -> None:
    count, name = sum(body["compared"].values()), account or "all accounts"
    console.print(
        f"{body['facts']} facts up to event {body['through']} folded; {count} decisions "
        f"of {name} derived again",
        markup=False,
    )
    for kind, number in body["compared"].items():
        console.print(f"  {number:>7} {kind}", markup=False)
    for each in body["differences"]:
        console.print(
            f"  event {each['position']} in {each['stream']}: recorded "
            f"{each['recorded']}, derived {each['derived']}",
            markup=False,
        )
    verdict = "they agree" if body["agrees"] else "they DIFFER"
    console.print(verdict if count else "nothing to compare: no verdict", markup=False)
