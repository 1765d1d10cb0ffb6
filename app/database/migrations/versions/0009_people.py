"""Add whose message it is, and what a destination with an order for each person remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
STATES = "state IN ('pending', 'sent', 'dead', 'quarantined', 'erased', 'unidentified', 'expired')"
PENDING = sa.text("state = 'pending'")
ENDED = sa.text("state <> 'pending'")
OPEN = sa.text("person IS NOT NULL AND state IN ('pending', 'unidentified')")

KEPT = (
    "id, destination, message_id, account, state, received_at, due_at, lease, tries, error, "
    "settled_at, collection, email, history"
)


def upgrade() -> None:
    """Nobody's order matters in what is kept so far: all of it is for Segment."""
    if op.get_bind().dialect.name == "sqlite":
        _write_events_anew()
        op.create_index("events_email", "events", ["email"])
        op.create_index("events_message", "events", ["message_id", "destination"], unique=True)
        _create_index("events_waiting", ["destination", "account", "due_at", "id"], PENDING)
        _create_index("events_unsent", ["destination", "received_at"], PENDING)
        _create_index("events_settled", ["state", "settled_at", "destination"], ENDED)
    else:
        op.add_column("events", sa.Column("person", sa.Text))
        op.drop_constraint("events_state", "events", type_="check")
        op.create_check_constraint("events_state", "events", STATES)
    _create_index("events_person", ["destination", "person", "id"], OPEN)
    _create_memory()


def _write_events_anew() -> None:
    """Copy the table, because SQLite cannot change its check of the state (0008 did the same)."""
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
        sa.Column("person", sa.Text),
        sa.CheckConstraint(STATES, name="events_state"),
    )
    op.execute(f"INSERT INTO events_now ({KEPT}) SELECT {KEPT} FROM events")  # noqa: S608
    op.drop_table("events")
    op.rename_table("events_now", "events")


def _create_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "events", columns, sqlite_where=where, postgresql_where=where)


def _create_memory() -> None:
    op.create_table(
        "identities",
        *_account(),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("email", sa.Text),
        sa.Column("user_id", sa.Text),
    )
    op.create_index("identities_email", "identities", ["email"])
    op.create_table(
        "people",
        *_account(),
        sa.Column("email", sa.Text, primary_key=True),
        sa.Column("memory", sa.Text, nullable=False),
        sa.Column("busy_until", sa.Double, nullable=False),
    )
    op.create_table(
        "turns",
        *_account(),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_table(
        "requests",
        *_account(),
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("second", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_table(
        "buckets",
        *_account(),
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("closed_until", sa.Double, nullable=False),
    )


def _account() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
    )
