"""The first schema of the alerts and their deliveries."""

import sqlalchemy as sa
from alembic import op

from portcullis.store.columns import Whole, Words

revision = "alerts_1"
down_revision = None


def upgrade() -> None:
    """Create everything; there is nothing before this."""
    op.create_table(
        "alerts",
        sa.Column("id", Words, primary_key=True),
        sa.Column("kind", Words, nullable=False),
        sa.Column("severity", Words, nullable=False),
        sa.Column("topic", Words, nullable=False),
        sa.Column("account", Words),
        sa.Column("state", Words, nullable=False),
        sa.Column("first_at", Whole, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("alerts_by_time", "alerts", ["first_at"])
    op.create_table(
        "deliveries",
        sa.Column("number", Whole, primary_key=True, autoincrement=True),
        sa.Column("channel", Words, nullable=False),
        sa.Column("why", Words, nullable=False),
        sa.Column("severity", Words, nullable=False),
        sa.Column("alerts", Words, nullable=False),
        sa.Column("title", Words, nullable=False),
        sa.Column("body", Words, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("attempts", Whole, nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sa.Column("due_at", Whole, nullable=False),
        sa.Column("ended_at", Whole),
        sa.Column("detail", Words, nullable=False),
        sa.Column("receipt", Words, nullable=False),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    unended = sa.text("state IN ('waiting', 'sending')")
    op.create_index(
        "deliveries_unended",
        "deliveries",
        ["channel", "due_at"],
        sqlite_where=unended,
        postgresql_where=unended,
    )
    op.create_index("deliveries_by_channel", "deliveries", ["channel", "state", "ended_at"])
    op.create_table(
        "memory",
        sa.Column("name", Words, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
