"""Alembic's entry: the connection is handed over by `portcullis.store.database`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
