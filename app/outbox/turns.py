"""Let one process at a time send for an account, if its messages have an order."""

from sqlalchemy import Engine, or_, update

from app.database.engine import dialect_of
from app.database.tables import turns


class Turns:
    """The turns of the accounts of one destination. Times are in seconds since the epoch, and are
    always passed in. All methods raise `SQLAlchemyError` if the database is out of reach."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._engine = engine
        self._destination = destination
        self._dialect = dialect_of(engine)

    def take(self, account: str, holder: str, now: float, until: float) -> bool:
        """Take the turn, or keep it, until `until`. Returns False if another process has it.

        A turn ends by itself, so the account of a process that died is free again. One that would
        last far longer than it can was taken before the clock was set back, and is free too.
        """
        row = {"destination": self._destination, "account": account}
        mine = self._dialect.insert(turns).values(**row, holder=holder, until=until)
        is_free = or_(
            turns.c.holder == holder, turns.c.until <= now, turns.c.until > now + 2 * (until - now)
        )
        taken = mine.on_conflict_do_update(
            index_elements=[*turns.primary_key],
            set_={"holder": holder, "until": until},
            where=is_free,
        ).returning(turns.c.holder)
        with self._engine.begin() as connection:
            return connection.execute(taken).first() is not None

    def end(self, account: str, holder: str) -> None:
        """Give the turn back, if it is still the holder's."""
        mine = (
            turns.c.destination == self._destination,
            turns.c.account == account,
            turns.c.holder == holder,
        )
        with self._engine.begin() as connection:
            connection.execute(update(turns).where(*mine).values(until=0.0))
