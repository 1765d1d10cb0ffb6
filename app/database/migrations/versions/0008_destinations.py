"""Add the destination to each event, pause and count, so that there may be several."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PENDING = sa.text("state = 'pending'")
ENDED = sa.text("state <> 'pending'")

KEPT = (
    "id, message_id, account, state, received_at, due_at, lease, tries, error, settled_at, "
    "collection, email, history"
)


def upgrade() -> None:
    """Set the destination of all that is kept so far to Segment."""
    if op.get_bind().dialect.name == "sqlite":
        _write_events_anew()
        _write_pauses_anew()
        _write_traffic_anew()
        op.create_index("events_email", "events", ["email"])
    else:
        _change_events()
        _change_key("pauses", ["destination", "account"])
        _change_key("traffic", ["destination", "minute", "collection"])
    op.create_index("events_message", "events", ["message_id", "destination"], unique=True)
    _create_index("events_waiting", ["destination", "account", "due_at", "id"], PENDING)
    _create_index("events_unsent", ["destination", "received_at"], PENDING)
    _create_index("events_settled", ["state", "settled_at", "destination"], ENDED)


def _write_events_anew() -> None:
    """Copy the table, because SQLite cannot drop the column's own unique index. `schema.py` has
    switched foreign keys off, or dropping the old table would delete all bodies."""
    op.create_table(
        "events_now",
        sa.Column("id", ID, primary_key=True),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
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
    _copy(KEPT, "events", "events_now")
    op.drop_table("events")
    op.rename_table("events_now", "events")


def _change_events() -> None:
    _add_destination("events")
    op.drop_constraint("events_message_id_key", "events", type_="unique")
    op.drop_column("events", "payload_bytes")
    for index in ("events_waiting", "events_unsent", "events_settled"):
        op.drop_index(index, "events")


def _add_destination(table: str) -> None:
    segment = sa.Column("destination", sa.Text, nullable=False, server_default="segment")
    op.add_column(table, segment)
    op.alter_column(table, "destination", server_default=None)


def _change_key(table: str, columns: list[str]) -> None:
    _add_destination(table)
    op.drop_constraint(f"{table}_pkey", table, type_="primary")
    op.create_primary_key(f"{table}_pkey", table, columns)


def _create_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "events", columns, sqlite_where=where, postgresql_where=where)


def _write_pauses_anew() -> None:
    op.rename_table("pauses", "pauses_before")
    op.create_table(
        "pauses",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    _copy("account, until, reason", "pauses_before", "pauses")
    op.drop_table("pauses_before")


def _write_traffic_anew() -> None:
    op.rename_table("traffic", "traffic_before")
    op.create_table(
        "traffic",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("collection", sa.Text, primary_key=True),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )
    _copy("minute, collection, received, sent", "traffic_before", "traffic")
    op.drop_table("traffic_before")


def _copy(columns: str, source: str, target: str) -> None:
    op.execute(
        f"INSERT INTO {target} (destination, {columns}) "  # noqa: S608 - all of it is here
        f"SELECT 'segment', {columns} FROM {source}"
    )
