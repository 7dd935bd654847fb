"""Types of columns that mean the same on both databases: 64-bit numbers, texts ordered by bytes."""

from __future__ import annotations

import sqlalchemy as sa

Whole = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
