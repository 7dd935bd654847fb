"""`portcullis audit`: does the record do what the rules' text demands, by a second judge?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import typer

from portcullis.audit.inquiry import audit as audit_lines
from portcullis.cli.output import Form, FormOption, console, show
from portcullis.errors import UsageError

NOT_JUDGED = "Hashes, signatures and a missing end are the matter of `portcullis ledger verify`."
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def audit(
    file: str = typer.Argument(..., help="an export of portcullis event export; - is the input"),
    output: Form = FormOption,
) -> None:
    """Judge an exported ledger by the text of the rules. Ends with 1 where they part."""
    with _lines(file) as (lines, name):
        found = audit_lines(lines, name)
    show(msgspec.to_builtins(found) | {"agrees": found.agrees}, output, _draw)
    if not found.agrees:
        raise typer.Exit(1)


@contextmanager
def _lines(file: str) -> Iterator[tuple[Iterable[bytes], str]]:
    if file == "-":
        yield sys.stdin.buffer, "standard input"
        return
    path = Path(file)
    if path.is_dir() or not path.exists():  # a pipe will do
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise UsageError(what, remedy="portcullis event export > FILE writes one")
    with path.open("rb") as lines:
        yield lines, str(path)


def _draw(body: dict[str, Any]) -> None:
    said = (
        f"{_count(body['events'], 'event')}; {_count(body['accounts'], 'account')} under "
        f"{_count(body['rules'], 'rule')}, judged {_count(body['judgements'], 'time')}; "
        f"{body['agreed']} of {_count(body['breaches'], 'breach')} agree; "
        f"{_count(body['locks'], 'lock')}, {_count(body['days'], 'day')}, "
        f"{_count(body['commands'], 'command')}, {_count(body['answers'], 'proposal')} looked at"
    )
    console.print(said, markup=False, highlight=False)
    for each in body["differences"]:
        moment = EPOCH + timedelta(microseconds=each["at"])
        where = f"{each['account']} {each['rule']} {each['instrument'] or ''}".rstrip()
        console.print(
            f"  event {each['position']}, {moment:%Y-%m-%d %H:%M:%S.%f}: {each['kind'].upper()} "
            f"{where}: expected {each['expected']}; the ledger says: {each['found']}",
            markup=False,
            highlight=False,
        )
    count = len(body["differences"])
    verdict = f"they DIFFER in {count}" if count else "they agree"
    console.print(verdict if body["judgements"] else "nothing was judged: no verdict", markup=False)
    console.print(NOT_JUDGED, style="dim")


def _count(number: int, what: str) -> str:
    many = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number} {what if number == 1 else many}"
