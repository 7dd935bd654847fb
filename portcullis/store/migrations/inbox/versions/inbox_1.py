"""The first schema of the inbox."""

import sqlalchemy as sa
from alembic import op

from portcullis.store.columns import Whole, Words

revision = "inbox_1"
down_revision = None


def upgrade() -> None:
    """Create everything; there is nothing before this."""
    op.create_table(
        "requests",
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
    op.create_index(
        "requests_waiting",
        "requests",
        ["number"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
