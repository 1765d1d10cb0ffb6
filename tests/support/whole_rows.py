"""Events as they would be after some days, put into the tables past the store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert

from app.database.tables import bodies, events
from app.outbox.store import PUT_BODY


def put_whole(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Each row has the columns of an event and of its body."""
    columns = events.c.keys()
    rows = [{"destination": "segment", **row} for row in rows]
    connection.execute(
        insert(events), [{name: row[name] for name in columns if name in row} for row in rows]
    )
    nothing = dict.fromkeys(bodies.c.keys())
    connection.execute(PUT_BODY, [nothing | row for row in rows])
