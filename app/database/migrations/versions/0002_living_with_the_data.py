"""Let events be found by collection and person and counted by age, and add pauses and alerts."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PENDING = sa.text("state = 'pending'")
ENDED = sa.text("state <> 'pending'")
STATES = "state IN ('pending', 'sent', 'dead', 'quarantined', 'erased')"


def upgrade() -> None:
    """Add columns, a state, indexes and tables, and fill the columns from what is kept."""
    # what goes out is copied whole below, and its index with a condition would not be
    op.drop_index("events_waiting", "events")
    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("collection", sa.Text))
        events.add_column(sa.Column("email", sa.Text))
        events.drop_constraint("events_state", type_="check")
        events.create_check_constraint("events_state", STATES)
    _fill(op.get_bind())
    _create_index("events_waiting", ["account", "due_at", "id"], PENDING)
    _create_index("events_unsent", ["received_at"], PENDING)
    _create_index("events_settled", ["state", "settled_at"], ENDED)
    op.create_index("events_email", "events", ["email"])
    op.create_table(
        "pauses",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.CheckConstraint("stage IN ('raised', 'told', 'cleared')", name="alerts_stage"),
    )


def _create_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "events", columns, sqlite_where=where, postgresql_where=where)


_EVENTS = sa.table(
    "events",
    sa.column("id", sa.BigInteger),
    sa.column("payload", sa.Text),
    sa.column("collection", sa.Text),
    sa.column("email", sa.Text),
    sa.column("state", sa.Text),
    sa.column("received_at", sa.Double),
    sa.column("settled_at", sa.Double),
)

_STEP = 1000


def _fill(connection: sa.Connection) -> None:
    events = _EVENTS.c
    connection.execute(
        _EVENTS.update()
        .where(events.state == "quarantined", events.settled_at.is_(None))
        .values(settled_at=events.received_at)
    )
    update = (
        _EVENTS.update()
        .where(events.id == sa.bindparam("row"))
        .values(collection=sa.bindparam("found_collection"), email=sa.bindparam("found_email"))
    )
    last = 0
    while rows := connection.execute(
        sa.select(events.id, events.payload)
        .where(events.id > last, events.payload.is_not(None))
        .order_by(events.id)
        .limit(_STEP)
    ).all():
        connection.execute(update, [_found(row) for row in rows])
        last = rows[-1].id


def _found(row: sa.Row[Any, Any]) -> dict[str, Any]:
    call = json.loads(row.payload)
    email = call.get("context", {}).get("traits", {}).get("email")
    return {
        "row": row.id,
        "found_collection": call["event"],
        # half a letter, or a NUL, is what the databases do not take
        "found_email": email and email.lower().encode(errors="replace").decode().replace("\0", "?"),
    }
