"""Keep each event's tries, and how many came and went in each minute, for the inspector."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column and a table; both begin empty."""
    op.add_column("events", sa.Column("history", sa.Text))
    op.create_table(
        "traffic",
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("collection", sa.Text, primary_key=True),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )
