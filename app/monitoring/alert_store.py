"""Which alerts are out, so that several processes, and one that starts again, tell each once."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from app.database.engine import dialect_of, reader
from app.database.tables import alerts


@dataclass(frozen=True)
class Alert:
    """Something to tell now: that a condition arose, or that it has passed."""

    name: str
    text: str
    since: float
    is_cleared: bool


class AlertStore:
    """Times are seconds since the epoch, and are always passed in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = (
            dialect_of(engine).insert(alerts).on_conflict_do_nothing().returning(alerts.c.name)
        )

    def _raise(self, connection: Connection, name: str, text: str, now: float) -> bool:
        row = {"name": name, "text": text, "since": now, "stage": "raised", "due_at": now}
        return connection.scalar(self._insert, row) is not None

    def is_empty(self) -> bool:
        """Whether no alert is out; takes no lock."""
        with reader(self._engine) as connection:
            return connection.scalar(select(alerts.c.name).limit(1)) is None

    def note(self, current: Mapping[str, str], unknown: Set[str], now: float) -> list[Alert]:
        """Write down which conditions hold now: name → text. Those of which nothing is known stay
        as they are. Gives what is new by that: one process alone is given each.
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
                if row.name in current and row.stage == "cleared":  # back before anyone was told
                    _move(connection, row.name, "cleared", "told", now)
                    arose.append(Alert(row.name, current[row.name], row.since, is_cleared=False))
        return arose + passed

    def claim(self, now: float, until: float) -> Alert | None:
        """What is to be told now and has waited for longest, ours to tell until then."""
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

    def told(self, notice: Alert) -> None:
        """It was told; what was not is told again once the claim has ended."""
        with self._engine.begin() as connection:
            if notice.is_cleared:
                ended = (alerts.c.name == notice.name, alerts.c.stage == "cleared")
                connection.execute(delete(alerts).where(*ended))
            else:
                _move(connection, notice.name, "raised", "told", notice.since)


def _clear(connection: Connection, row: Any, now: float) -> bool:
    """Whether it was this that ended it."""
    if row.stage == "told":
        return _move(connection, row.name, "told", "cleared", now)
    raised = (
        alerts.c.name == row.name,
        alerts.c.stage == "raised",
    )  # nobody was told that it arose
    return connection.execute(delete(alerts).where(*raised)).rowcount == 1


def _move(connection: Connection, name: str, old: str, new: str, due_at: float) -> bool:
    ours = (alerts.c.name == name, alerts.c.stage == old)
    moved = connection.execute(update(alerts).where(*ours).values(stage=new, due_at=due_at))
    return moved.rowcount == 1
