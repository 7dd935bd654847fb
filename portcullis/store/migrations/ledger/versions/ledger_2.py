"""A ledger may begin with a base instead of its first event."""

import sqlalchemy as sa
from alembic import op

from portcullis.store.columns import Whole, Words

revision = "ledger_2"
down_revision = "ledger_1"


def upgrade() -> None:
    """One row at most; none while the first event is there."""
    op.create_table(
        "base",
        sa.Column("id", Whole, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("position", Whole, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("note", Words, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
