"""The tables of the ledger's file and of the inbox's file."""

from __future__ import annotations

import sqlalchemy as sa

LEDGER_REVISIONS = ("ledger_1", "ledger_2")
INBOX_REVISIONS = ("inbox_1",)

ledger = sa.MetaData()

events = sa.Table(
    "events",
    ledger,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("trace", sa.Text, nullable=False),
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
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# One row. `epoch` grows with every writer that opens the file and guards every commit.
head = sa.Table(
    "head",
    ledger,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("indexed", sa.Integer, nullable=False),
    sqlite_strict=True,
)

segments = sa.Table(
    "segments",
    ledger,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

checkpoints = sa.Table(
    "checkpoints",
    ledger,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
    sqlite_strict=True,
)

# `outcome` is null while the command has none; `concluded` is the position that stated it.
outbox = sa.Table(
    "outbox",
    ledger,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("concluded", sa.Integer),
    sqlite_strict=True,
)
sa.Index("outbox_pending", outbox.c.position, sqlite_where=outbox.c.outcome.is_(None))

snapshots = sa.Table(
    "snapshots",
    ledger,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("taken_at", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

# One row at most: what the events before the first one here amounted to.
base = sa.Table(
    "base",
    ledger,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

# Facts about the file itself: `ledger_id`, `public_key`.
meta = sa.Table(
    "meta",
    ledger,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_strict=True,
)

inbox = sa.MetaData()

# `outcome` is null until the worker answered.
requests = sa.Table(
    "requests",
    inbox,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("request_id", sa.Text, nullable=False, unique=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("asked_at", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("position", sa.Integer),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
sa.Index("requests_waiting", requests.c.number, sqlite_where=requests.c.outcome.is_(None))
