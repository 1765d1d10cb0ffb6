"""Record which alerts have been sent, so that several processes send each of them once."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from app.database.engine import dialect_of, reader
from app.database.tables import alerts


@dataclass(frozen=True)
class Alert:
    """A report that a check has failed, or that it passes again."""

    name: str
    text: str
    since: float
    """When it failed, in seconds since the epoch."""
    is_cleared: bool


class AlertStore:
    """The alerts that are out, for all processes over one database.

    Times are in seconds since the epoch, and are always passed in. All methods raise
    `SQLAlchemyError` if the database is out of reach.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = (
            dialect_of(engine).insert(alerts).on_conflict_do_nothing().returning(alerts.c.name)
        )

    def _raise(self, connection: Connection, name: str, text: str, now: float) -> bool:
        row = {"name": name, "text": text, "since": now, "stage": "raised", "due_at": now}
        return connection.scalar(self._insert, row) is not None

    def is_empty(self) -> bool:
        """Whether no alert is out. Takes no lock."""
        with reader(self._engine) as connection:
            return connection.scalar(select(alerts.c.name).limit(1)) is None

    def note(self, current: Mapping[str, str], unknown: Set[str], now: float) -> list[Alert]:
        """Record which checks fail now (name → text), and return what changed: each change is
        returned to one process only. Checks in `unknown` stay as they were recorded.
        """
        with self._engine.begin() as connection:
            known = connection.execute(select(alerts)).all()
            arose = [
                Alert(name, current[name], now, is_cleared=False)
                for name in sorted(current.keys() - {row.name for row in known})
                if self._raise(connection, name, current[name], now)
            ]
            passed = [
                Alert(row.name, row.text, row.since, is_cleared=True)
                for row in known
                if row.name not in current.keys() | unknown and _clear(connection, row, now)
            ]
            for row in known:
                # failed again before its end was sent
                if row.name in current and row.stage == "cleared":
                    _move(connection, row.name, "cleared", "told", now)
                    arose.append(Alert(row.name, current[row.name], row.since, is_cleared=False))
        return arose + passed

    def claim(self, now: float, until: float) -> Alert | None:
        """Claim the alert that has been due for longest, until `until`; None if none is due."""
        due = (alerts.c.stage != "told", alerts.c.due_at <= now)
        first = select(alerts.c.name).where(*due).order_by(alerts.c.due_at, alerts.c.name).limit(1)
        claimed = (
            update(alerts)
            .where(*due, alerts.c.name == first.scalar_subquery())
            .values(due_at=until)
            .returning(alerts)
        )
        with self._engine.begin() as connection:
            row = connection.execute(claimed).first()
        return Alert(row.name, row.text, row.since, row.stage == "cleared") if row else None

    def mark_sent(self, alert: Alert) -> None:
        """Record that a claimed alert was sent. Otherwise it is due again when its claim ends."""
        with self._engine.begin() as connection:
            if alert.is_cleared:
                ended = (alerts.c.name == alert.name, alerts.c.stage == "cleared")
                connection.execute(delete(alerts).where(*ended))
            else:
                _move(connection, alert.name, "raised", "told", alert.since)


def _clear(connection: Connection, row: Any, now: float) -> bool:
    """Record that a check passes again. Returns whether this call changed that."""
    if row.stage == "told":
        return _move(connection, row.name, "told", "cleared", now)
    # its beginning was not sent, so its end need not be either
    raised = (alerts.c.name == row.name, alerts.c.stage == "raised")
    return connection.execute(delete(alerts).where(*raised)).rowcount == 1


def _move(connection: Connection, name: str, old: str, new: str, due_at: float) -> bool:
    ours = (alerts.c.name == name, alerts.c.stage == old)
    moved = connection.execute(update(alerts).where(*ours).values(stage=new, due_at=due_at))
    return moved.rowcount == 1
