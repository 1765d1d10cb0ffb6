"""Record which alerts have been sent, so that several processes send each of them once."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, delete, select, update

from app.database.engine import dialect_of, reader
from app.database.tables import alerts

GROWTH = 10
"""An alert is sent again if the trouble is so many times larger than when it was last reported."""

REMINDER = 24 * 3600.0
"""Seconds after which it is sent again while the trouble lasts."""

Stage = Literal["raised", "grown", "lasting", "told", "cleared"]
"""What an alert reports: that trouble began, grew, or lasts; "told" if that has been sent; or that
the trouble is over."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong now, to be recorded."""

    name: str
    text: str
    """In one line, for people."""
    over: str
    """What its end is called."""
    size: int
    """How many messages it concerns."""
    since: float
    """When it began, in seconds since the epoch."""


@dataclass(frozen=True)
class Alert:
    """A report."""

    name: str
    text: str
    over: str
    since: float
    stage: Stage
    size: int = 1


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

    def is_empty(self) -> bool:
        """Whether no alert is out. Takes no lock."""
        with reader(self._engine) as connection:
            return connection.scalar(select(alerts.c.name).limit(1)) is None

    def note(self, current: Sequence[Trouble], unknown: Set[str], now: float) -> list[Alert]:
        """Record what is wrong now, and return what is to be reported: each change is returned to
        one process only. Troubles whose names are in `unknown` stay as they were recorded.
        """
        now_wrong = {trouble.name: trouble for trouble in current}
        with self._engine.begin() as connection:
            known = {row.name: row for row in connection.execute(select(alerts))}
            changed = [
                self._to_alert(trouble, trouble.since, "raised")
                for name, trouble in now_wrong.items()
                if name not in known and self._raise(connection, trouble, now)
            ]
            for name, row in known.items():
                if name in now_wrong:
                    changed += self._lasts(connection, row, now_wrong[name], now)
                elif name not in unknown:
                    changed += self._ended(connection, row, now)
        return changed

    def _raise(self, connection: Connection, trouble: Trouble, now: float) -> bool:
        row = {
            "name": trouble.name,
            "text": trouble.text,
            "over": trouble.over,
            "size": trouble.size,
            "since": trouble.since,
            "stage": "raised",
            "due_at": now,
        }
        return connection.scalar(self._insert, row) is not None

    def _lasts(self, connection: Connection, row: Any, trouble: Trouble, now: float) -> list[Alert]:
        """Report trouble again if it came back before its end was sent, has grown, or lasts."""
        if row.stage == "cleared":  # its end was not sent: then it never ended
            if not _move(connection, row, "told", now):
                return []
            return [self._to_alert(trouble, row.since, "raised")]
        if row.stage != "told":
            return []
        stage: Stage
        if trouble.size >= GROWTH * max(row.size, 1):
            stage = "grown"
        elif now - row.due_at >= REMINDER:
            stage = "lasting"
        else:
            return []
        if not _move(connection, row, stage, now, text=trouble.text, size=trouble.size):
            return []
        return [self._to_alert(trouble, row.since, stage)]

    def _ended(self, connection: Connection, row: Any, now: float) -> list[Alert]:
        alert = Alert(row.name, row.text, row.over, row.since, "cleared", row.size)
        if row.stage == "raised":  # its beginning was not sent, so its end need not be either
            ours = (alerts.c.name == row.name, alerts.c.stage == "raised")
            return [alert] if connection.execute(delete(alerts).where(*ours)).rowcount else []
        if row.stage == "cleared" or not _move(connection, row, "cleared", now):
            return []
        return [alert]

    @staticmethod
    def _to_alert(trouble: Trouble, since: float, stage: Stage) -> Alert:
        return Alert(trouble.name, trouble.text, trouble.over, since, stage, trouble.size)

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
        if row is None:
            return None
        return Alert(row.name, row.text, row.over, row.since, row.stage, row.size)

    def mark_sent(self, alert: Alert, now: float) -> None:
        """Record that a claimed alert was sent. Otherwise it is due again when its claim ends."""
        ours = (alerts.c.name == alert.name, alerts.c.stage == alert.stage)
        with self._engine.begin() as connection:
            if alert.stage == "cleared":
                connection.execute(delete(alerts).where(*ours))
            else:
                told = update(alerts).where(*ours).values(stage="told", due_at=now)
                connection.execute(told)


def _move(connection: Connection, row: Any, stage: Stage, due_at: float, **values: Any) -> bool:
    """Change the stage of an alert, unless another process has."""
    ours = (alerts.c.name == row.name, alerts.c.stage == row.stage)
    moved = update(alerts).where(*ours).values(stage=stage, due_at=due_at, **values)
    return connection.execute(moved).rowcount == 1
