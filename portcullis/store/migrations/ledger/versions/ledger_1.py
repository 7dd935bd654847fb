"""The first schema of the ledger."""

import sqlalchemy as sa
from alembic import op

from portcullis.store.columns import Whole, Words

revision = "ledger_1"
down_revision = None


def upgrade() -> None:
    """Create everything; there is nothing before this."""
    op.create_table(
        "events",
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
    op.create_table(
        "stream_index",
        sa.Column("stream", Words, primary_key=True),
        sa.Column("seq", Whole, primary_key=True),
        sa.Column("position", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "head",
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
    op.create_table(
        "segments",
        sa.Column("number", Whole, primary_key=True, autoincrement=False),
        sa.Column("first", Whole, nullable=False),
        sa.Column("last", Whole, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoints",
        sa.Column("position", Whole, primary_key=True, autoincrement=False),
        sa.Column("note", Words, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        sa.Column("key", Words, primary_key=True),
        sa.Column("account", Words, nullable=False),
        sa.Column("position", Whole, nullable=False),
        sa.Column("outcome", Words),
        sa.Column("concluded", Whole),
        sqlite_strict=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("position", Whole, primary_key=True, autoincrement=False),
        sa.Column("taken_at", Whole, nullable=False),
        sa.Column("version", Whole, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "meta",
        sa.Column("name", Words, primary_key=True),
        sa.Column("value", Words, nullable=False),
        sqlite_strict=True,
    )
    op.create_index(
        "outbox_pending",
        "outbox",
        ["position"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
    # Friction, not proof: what proves is the chain. These stop a slip of the hand.
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_REFUSE)
        op.execute(_GUARD)
    else:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )


# Retiring old events says so in its transaction, and is let through.
_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('portcullis.retires', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'events are append-only';
    END IF;
    RETURN NULL;
END $$
"""
_GUARD = """
CREATE TRIGGER events_unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""
