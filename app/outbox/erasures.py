"""Who was erased here and not yet in a warehouse. It may be out of reach for days."""

from sqlalchemy import Engine, delete, select

from app.database.engine import dialect_of, reader
from app.database.tables import erasures


class Erasures:
    """Those that were asked for in one warehouse. Times are in seconds since the epoch. All methods
    raise `SQLAlchemyError` if the database is out of reach."""

    def __init__(self, engine: Engine, warehouse: str) -> None:
        """`warehouse` is its fingerprint."""
        self._engine = engine
        self._warehouse = warehouse
        self._is_ours = erasures.c.warehouse == warehouse

    def ask(self, email: str, now: float) -> None:
        """Note that a person has to be erased in the warehouse, or that they have to be again."""
        row = {"warehouse": self._warehouse, "email": email, "asked_at": now}
        put = dialect_of(self._engine).insert(erasures).values(row)
        put = put.on_conflict_do_update(
            index_elements=[*erasures.primary_key], set_={"asked_at": now}
        )
        with self._engine.begin() as connection:
            connection.execute(put)

    def asked(self) -> list[tuple[str, float]]:
        """Who has to be erased, and when that was asked for."""
        asked = select(erasures.c.email, erasures.c.asked_at).where(self._is_ours)
        with reader(self._engine) as connection:
            return [(email, at) for email, at in connection.execute(asked)]

    def end(self, email: str, asked_at: float) -> None:
        """Note that the warehouse has lost a person, unless it was asked for anew since then."""
        done = delete(erasures).where(
            self._is_ours, erasures.c.email == email, erasures.c.asked_at == asked_at
        )
        with self._engine.begin() as connection:
            connection.execute(done)

    def oldest(self) -> float | None:
        """When the first of those was asked for that are not done."""
        first = select(erasures.c.asked_at).where(self._is_ours).order_by(erasures.c.asked_at)
        with reader(self._engine) as connection:
            return connection.scalar(first.limit(1))
