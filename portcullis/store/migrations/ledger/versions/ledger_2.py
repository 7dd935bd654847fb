"""A ledger may begin with a base instead of its first event."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_2"
down_revision = "ledger_1"


def upgrade() -> None:
    """One row at most; none while the first event is there."""
    op.create_table(
        "base",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
