"""Remember what was loaded into a warehouse, and which people it still has to erase."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

FOLLOW = """
    CREATE TRIGGER events_last_loaded AFTER DELETE ON events
    WHEN EXISTS (SELECT 1 FROM loads WHERE last_event > (SELECT coalesce(max(id), 0) FROM events))
    BEGIN
        UPDATE loads SET last_event = (SELECT coalesce(max(id), 0) FROM events)
        WHERE last_event > (SELECT coalesce(max(id), 0) FROM events);
    END
"""
"""SQLite gives the id of the newest event again if that was deleted. An event with an id that was
loaded before would never be loaded."""


def upgrade() -> None:
    """Add two tables. What is kept already is loaded by the first load."""
    op.create_table(
        "loads",
        sa.Column("warehouse", sa.Text, primary_key=True),
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("last_event", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("loaded_at", sa.Double),
        sa.Column("failing_since", sa.Double),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "erasures",
        sa.Column("warehouse", sa.Text, primary_key=True),
        sa.Column("email", sa.Text, primary_key=True),
        sa.Column("asked_at", sa.Double, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(FOLLOW)
