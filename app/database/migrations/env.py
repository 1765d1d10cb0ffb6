"""Run by Alembic for each upgrade, on the connection that `schema.py` passes."""

from alembic import context

from app.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
