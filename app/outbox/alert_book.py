"""Which alerts are out, so that several processes, and one that starts again, tell each once."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, select, update

from app.outbox.engine import dialect_of
from app.outbox.tables import alerts


@dataclass(frozen=True)
class Notice:
    """Something to tell now: that a condition arose, or that it has passed."""

    name: str
    text: str
    since: float
    is_cleared: bool


class AlertBook:
    """Times are seconds since the epoch, and are always passed in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = dialect_of(engine).insert(alerts).on_conflict_do_nothing()

    def is_empty(self) -> bool:
        """Whether no alert is out; takes no lock."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return connection.scalar(select(alerts.c.name).limit(1)) is None

    def note(self, current: Mapping[str, str], unknown: Set[str], now: float) -> None:
        """Write down which conditions hold now: name → text. Those of which nothing is known stay
        as they are."""
        with self._engine.begin() as connection:
            known = {row.name: row.stage for row in connection.execute(select(alerts))}
            for name in current.keys() - known.keys():
                row = {"name": name, "text": current[name], "since": now}
                connection.execute(self._insert, {**row, "stage": "raised", "due_at": now})
            for name, stage in known.items():
                if name in unknown:
                    continue
                if name not in current and stage == "raised":
                    connection.execute(delete(alerts).where(alerts.c.name == name))
                elif name not in current and stage == "told":
                    _move(connection, name, stage, "cleared", now)
                elif name in current and stage == "cleared":  # back before anyone was told
                    _move(connection, name, stage, "told", now)

    def claim(self, now: float, until: float) -> list[Notice]:
        """What is to be told now, and is ours to tell until then."""
        due = (alerts.c.stage != "told", alerts.c.due_at <= now)
        with self._engine.begin() as connection:
            rows = connection.execute(
                update(alerts).where(*due).values(due_at=until).returning(alerts)
            ).all()
        return [Notice(row.name, row.text, row.since, row.stage == "cleared") for row in rows]

    def told(self, notice: Notice) -> None:
        """It was told; what was not is told again once the claim has ended."""
        with self._engine.begin() as connection:
            if notice.is_cleared:
                ended = (alerts.c.name == notice.name, alerts.c.stage == "cleared")
                connection.execute(delete(alerts).where(*ended))
            else:
                _move(connection, notice.name, "raised", "told", notice.since)


def _move(connection: Connection, name: str, old: str, new: str, due_at: float) -> None:
    ours = (alerts.c.name == name, alerts.c.stage == old)
    connection.execute(update(alerts).where(*ours).values(stage=new, due_at=due_at))
