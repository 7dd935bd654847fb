"""Changing a ledger's file behind its back, as no program of ours can."""

import sqlite3
from contextlib import closing


def change(home, *statements):
    """Run statements on `<home>/ledger.db` without its guards."""
    with closing(sqlite3.connect(home / "ledger.db")) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (guard,) in found.fetchall():
            connection.execute(f"DROP TRIGGER {guard}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def without_constraints(home, table="events"):
    """Put a copy of a table, which takes anything, in the table's place."""
    change(
        home,
        f"ALTER TABLE {table} RENAME TO kept",
        f"CREATE TABLE {table} AS SELECT * FROM kept",
        "DROP TABLE kept",
    )
