"""Let PostgreSQL index an address of any length."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace the index on PostgreSQL. SQLite's has no such limit."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("events_email", "events")
        op.create_index("events_email", "events", ["email"], postgresql_using="hash")
