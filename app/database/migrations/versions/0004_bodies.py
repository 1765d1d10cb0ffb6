"""Move bodies to a table of their own, so that claiming and settling do not rewrite them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PENDING = sa.text("state = 'pending'")
ENDED = sa.text("state <> 'pending'")

DELETE_SOME = (
    "DELETE FROM events_before WHERE id IN (SELECT id FROM events_before ORDER BY id LIMIT 1000)"
)


def upgrade() -> None:
    """Add the table, fill it from the events, and drop their columns."""
    if op.get_bind().dialect.name == "sqlite":
        _write_anew()
    else:
        _create_bodies()
        _fill("bodies", "event, payload, raw", "id, payload, raw", "events")
        op.drop_column("events", "payload")
        op.drop_column("events", "raw")


def _create_bodies() -> None:
    op.create_table(
        "bodies",
        sa.Column(
            "event",
            ID,
            sa.ForeignKey("events.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("payload", sa.Text),
        sa.Column("raw", sa.LargeBinary, nullable=False),
    )


def _fill(table: str, columns: str, found: str, old: str) -> None:
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {found} FROM {old}")  # noqa: S608


def _write_anew() -> None:
    """Copy the table on SQLite. Dropping columns, or a table that has rows, would keep all that is
    overwritten in memory until the end."""
    for index in ("events_waiting", "events_unsent", "events_settled", "events_email"):
        op.drop_index(index, "events")
    op.rename_table("events", "events_before")
    events = op.create_table(
        "events",
        sa.Column("id", ID, primary_key=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("payload_bytes", sa.Integer, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("settled_at", sa.Double),
        sa.Column("collection", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("history", sa.Text),
        sa.CheckConstraint(
            "state IN ('pending', 'sent', 'dead', 'quarantined', 'erased')", name="events_state"
        ),
    )
    columns = ", ".join(column.name for column in events.c)
    _fill("events", columns, columns, "events_before")
    _create_bodies()
    _fill("bodies", "event, payload, raw", "id, payload, raw", "events_before")
    _drop_before()
    op.create_index("events_waiting", "events", ["account", "due_at", "id"], sqlite_where=PENDING)
    op.create_index("events_unsent", "events", ["received_at"], sqlite_where=PENDING)
    op.create_index("events_settled", "events", ["state", "settled_at"], sqlite_where=ENDED)
    op.create_index("events_email", "events", ["email"])


def _drop_before() -> None:
    while op.get_bind().execute(sa.text(DELETE_SOME)).rowcount:
        pass
    op.drop_table("events_before")
