"""Deriving the base that a ledger may begin with: `python -m portcullis.worker.deriving HOME N`.

A process of its own, because folding months of events must not take the worker's time. It reads
the ledger, verifies every event it folds, and writes the base to its standard output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from portcullis.config.settings import Settings
from portcullis.domain.events import FACT_KINDS
from portcullis.domain.state import STATE_VERSION, freeze
from portcullis.errors import NotFound, PortcullisError, StoreError
from portcullis.store.base import Base, OpenCommand
from portcullis.store.opening import place_of
from portcullis.store.place import Place
from portcullis.store.reading import LedgerReader
from portcullis.store.walk import CommandState, Walk, as_row
from portcullis.worker.recovery import begin, fact_of

CHUNK = 2_000


def derive(home: Path | Place, through: int) -> Base:
    """What the events up to `through` amount to, or a little earlier: a fact and its decisions
    stay together. Raises NotFound where nothing can be retired, StoreError where events do not
    hold.
    """
    with LedgerReader(home) as reader:
        before = reader.base()
        engine, begins = begin(reader)
        end = _whole_group(reader, through)
        if end <= begins:
            raise NotFound(
                f"the ledger begins behind event {begins} already",
                remedy="name a later event to retire up to",
            )
        walk = Walk(lambda _stream, _seq: None)
        if before is not None:
            walk.position, walk.at, walk.tree = before.position, before.at, before.tree()
            walk.streams = {name.encode(): end_of for name, end_of in before.streams.items()}
            walk.commands = {
                key: CommandState(each.account, each.position)
                for key, each in before.commands.items()
            }
        for start in range(begins, end, CHUNK):
            rows = list(reader.read(after=start, through=min(start + CHUNK, end)))
            fault = walk.over([as_row(row) for row in rows])
            if fault is not None:
                raise StoreError(
                    f"{home}: at event {fault.position}: {fault.what}",
                    remedy="run `portcullis ledger verify`; nothing was retired",
                )
            for row in rows:
                if row.kind in FACT_KINDS:
                    engine.apply(row.position, row.at, fact_of(row))
    return Base(
        walk.position,
        walk.at,
        walk.tree.to_bytes(),
        {name.decode(): end_of for name, end_of in walk.streams.items()},
        {
            key: OpenCommand(state.account, state.position)
            for key, state in walk.commands.items()
            if state.outcome is None
        },
        STATE_VERSION,
        freeze(engine.state),
    )


def _whole_group(reader: LedgerReader, through: int) -> int:
    """Where the last fact that is not later than `through` ends with all its decisions."""
    behind = next(iter(reader.read(after=through, through=through + 1)), None)
    if behind is None or behind.kind in FACT_KINDS:
        return through
    newest_first = reader.events(through=through, newest_first=True)
    return next((row.position - 1 for row in newest_first if row.kind in FACT_KINDS), 0)


def main() -> int:
    """The base on standard output; an error as a sentence."""
    url = os.environ.get("PORTCULLIS_STORE_URL", "")
    settings, through = Settings(home=sys.argv[1], store_url=url), int(sys.argv[2])
    try:
        sys.stdout.buffer.write(derive(place_of(settings), through).to_bytes())
    except PortcullisError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
