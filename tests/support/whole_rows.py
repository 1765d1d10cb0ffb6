"""Events as they would be after some days, put into the tables past the store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from app.database.tables import bodies, events


def put_whole(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Each row has the columns of an event and of its body."""
    columns = events.c.keys()
    rows = [{"destination": "segment", **row} for row in rows]
    connection.execute(
        insert(events), [{name: row[name] for name in columns if name in row} for row in rows]
    )
    event = (
        select(events.c.id)
        .where(events.c.message_id == bindparam("whose"))
        .where(events.c.destination == bindparam("to"))
    )
    connection.execute(
        insert(bodies).values(event=event.scalar_subquery()),
        [
            {
                "whose": row["message_id"],
                "to": row["destination"],
                "payload": row.get("payload"),
                "raw": row.get("raw"),
            }
            for row in rows
        ],
    )
