"""The tables of the ledger's file and of the inbox's file, and every file's revisions."""

from __future__ import annotations

import sqlalchemy as sa

from portcullis.store.columns import Whole, Words

LEDGER_REVISIONS = ("ledger_1", "ledger_2")
INBOX_REVISIONS = ("inbox_1",)
ALERTS_REVISIONS = ("alerts_1",)

ledger = sa.MetaData()

events = sa.Table(
    "events",
    ledger,
    sa.Column("position", Whole, primary_key=True, autoincrement=False),
    sa.Column("stream", Words, nullable=False),
    sa.Column("seq", Whole, nullable=False),
    sa.Column("at", Whole, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("version", Whole, nullable=False),
    sa.Column("trace", Words, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("previous", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

# Where each stream's events are, for those up to `head.indexed`. A unique constraint of `events`
# would do, but at the price of a page written for every stream in every commit.
stream_index = sa.Table(
    "stream_index",
    ledger,
    sa.Column("stream", Words, primary_key=True),
    sa.Column("seq", Whole, primary_key=True),
    sa.Column("position", Whole, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# One row. `epoch` grows with every writer that opens the file and guards every commit.
head = sa.Table(
    "head",
    ledger,
    sa.Column("id", Whole, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("epoch", Whole, nullable=False),
    sa.Column("position", Whole, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("at", Whole, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("indexed", Whole, nullable=False),
    sqlite_strict=True,
)

segments = sa.Table(
    "segments",
    ledger,
    sa.Column("number", Whole, primary_key=True, autoincrement=False),
    sa.Column("first", Whole, nullable=False),
    sa.Column("last", Whole, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

checkpoints = sa.Table(
    "checkpoints",
    ledger,
    sa.Column("position", Whole, primary_key=True, autoincrement=False),
    sa.Column("note", Words, nullable=False),
    sqlite_strict=True,
)

# `outcome` is null while the command has none; `concluded` is the position that stated it.
outbox = sa.Table(
    "outbox",
    ledger,
    sa.Column("key", Words, primary_key=True),
    sa.Column("account", Words, nullable=False),
    sa.Column("position", Whole, nullable=False),
    sa.Column("outcome", Words),
    sa.Column("concluded", Whole),
    sqlite_strict=True,
)
sa.Index(
    "outbox_pending",
    outbox.c.position,
    sqlite_where=outbox.c.outcome.is_(None),
    postgresql_where=outbox.c.outcome.is_(None),
)

snapshots = sa.Table(
    "snapshots",
    ledger,
    sa.Column("position", Whole, primary_key=True, autoincrement=False),
    sa.Column("taken_at", Whole, nullable=False),
    sa.Column("version", Whole, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

# One row at most: what the events before the first one here amounted to.
base = sa.Table(
    "base",
    ledger,
    sa.Column("id", Whole, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("position", Whole, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("note", Words, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

# Facts about the file itself: `ledger_id`, `public_key`.
meta = sa.Table(
    "meta",
    ledger,
    sa.Column("name", Words, primary_key=True),
    sa.Column("value", Words, nullable=False),
    sqlite_strict=True,
)

inbox = sa.MetaData()

# `outcome` is null until the worker answered.
requests = sa.Table(
    "requests",
    inbox,
    sa.Column("number", Whole, primary_key=True, autoincrement=True),
    sa.Column("request_id", Words, nullable=False, unique=True),
    sa.Column("verb", Words, nullable=False),
    sa.Column("by", Words, nullable=False),
    sa.Column("role", Words, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("asked_at", Whole, nullable=False),
    sa.Column("outcome", Words),
    sa.Column("detail", Words),
    sa.Column("position", Whole),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
sa.Index(
    "requests_waiting",
    requests.c.number,
    sqlite_where=requests.c.outcome.is_(None),
    postgresql_where=requests.c.outcome.is_(None),
)
