"""Add what the overview of the bridge needs: issues, last answers, deliverers, and more counts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

PENDING = sa.text("state = 'pending'")
ISSUE = sa.text("state IN ('dead', 'quarantined', 'expired') AND dismissed_at IS NULL")
DISMISSED = sa.text("dismissed_at IS NOT NULL")


def upgrade() -> None:
    """Reasons of what failed before are not worked out: those messages share one."""
    op.add_column("events", sa.Column("reason", sa.Text))
    op.add_column("events", sa.Column("dismissed_at", sa.Double))
    op.execute(
        "UPDATE events SET reason = 'kept by an earlier version' "
        "WHERE state IN ('dead', 'quarantined', 'expired')"
    )
    op.drop_index("events_unsent", "events")
    _create_index("events_unsent", ["destination", "account", "received_at"], PENDING)
    _create_index("events_issues", ["destination", "state", "reason", "settled_at", "id"], ISSUE)
    _create_index("events_dismissed", ["destination", "state"], DISMISSED)
    _add_counts()
    _create_answers()
    _create_alerts()


def _create_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "events", columns, sqlite_where=where, postgresql_where=where)


def _add_counts() -> None:
    for name in ("retried", "failed"):
        op.add_column("traffic", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "skipped",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
    )


def _create_answers() -> None:
    """Answers take the place of pauses, which were by account; keys that are refused are noted
    again when they are next tried."""
    op.drop_table("pauses")
    op.create_table(
        "answers",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("answered_at", sa.Double, nullable=False),
        sa.Column("taken_at", sa.Double),
        sa.Column("failing_since", sa.Double),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("recovered_at", sa.Double),
        sa.Column("next_at", sa.Double, nullable=False),
    )
    op.create_table(
        "deliverers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )


def _create_alerts() -> None:
    """Begin anew: what is still wrong is reported again, in today's words."""
    op.drop_table("alerts")
    op.create_table(
        "alerts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("over", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.CheckConstraint(
            "stage IN ('raised', 'grown', 'lasting', 'told', 'cleared')", name="alerts_stage"
        ),
    )
