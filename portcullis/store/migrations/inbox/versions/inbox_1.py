"""The first schema of the inbox."""

import sqlalchemy as sa
from alembic import op

revision = "inbox_1"
down_revision = None


def upgrade() -> None:
    """Create everything; there is nothing before this."""
    op.create_table(
        "requests",
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
    op.create_index(
        "requests_waiting", "requests", ["number"], sqlite_where=sa.text("outcome IS NULL")
    )
