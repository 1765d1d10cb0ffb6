"""Alembic runs this for each migration, on the connection that `schema.py` hands it."""

from alembic import context

from app.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
