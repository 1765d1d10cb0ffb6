"""Remember how a destination last answered to each key: a fact for pages, checks and alerts.

Keys are secrets, so a hash stands for each. A key that was replaced in the settings has another
hash, so its old answer is forgotten with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection, Engine, case, delete, func, select

from app.database.engine import dialect_of, synced_later
from app.database.tables import answers

Kind = Literal["taken", "rejected", "failing", "refused", "unreachable", "limited"]
"""What an answer says of its key: the destination takes messages; works, but rejected what it got;
fails for now; refuses the key; is not reached; or takes no more for a while because of a limit."""

WORKS = ("taken", "rejected")
"""The kinds of answers with which nothing is wrong but messages."""


@dataclass(frozen=True)
class LastAnswer:
    """The last answer to one key, and the trouble that it belongs to. Times are in seconds since
    the epoch."""

    kind: Kind
    reason: str
    """What happened, such as "HTTP 500", and what to check. It quotes no message."""
    answered_at: float
    next_at: float
    """When the key is tried again."""
    failures: int = 0
    """Requests that failed since `failing_since`."""
    taken_at: float | None = None
    """When the destination last took something; None if never."""
    failing_since: float | None = None
    """Since when it takes nothing; None if it does."""
    recovered_at: float | None = None
    """When the last such time ended."""


def fingerprint(key: str) -> str:
    """What stands for a key in the database."""
    return sha256(key.encode()).hexdigest()[:16]


class Answers:
    """The answers of one destination."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._engine = synced_later(engine)
        self._destination = destination
        insert = dialect_of(engine).insert(answers)
        new = insert.excluded
        works = new.kind.in_(WORKS)
        self._note = insert.on_conflict_do_update(
            index_elements=[*answers.primary_key],
            set_={
                "kind": new.kind,
                "reason": new.reason,
                "answered_at": new.answered_at,
                "next_at": new.next_at,
                "failures": case((works, 0), else_=answers.c.failures + new.failures),
                "taken_at": func.coalesce(new.taken_at, answers.c.taken_at),
                "failing_since": case(
                    (works, None),
                    else_=func.coalesce(answers.c.failing_since, new.failing_since),
                ),
                "recovered_at": case(
                    (works & answers.c.failing_since.is_not(None), new.answered_at),
                    else_=answers.c.recovered_at,
                ),
            },
        ).returning(answers.c.recovered_at)

    def note(
        self, key: str, kind: Kind, reason: str, now: float, next_at: float, failures: int
    ) -> bool:
        """Record an answer of now, and how many requests have failed since the last one that was
        recorded. Returns whether it ends a trouble. Raises `SQLAlchemyError`."""
        row = {
            "destination": self._destination,
            "key": fingerprint(key),
            "kind": kind,
            "reason": reason,
            "answered_at": now,
            "next_at": next_at,
            "failures": failures,
            "taken_at": now if kind == "taken" else None,
            "failing_since": None if kind in WORKS else now,
        }
        with self._engine.begin() as connection:
            recovered_at: float | None = connection.scalar(self._note, row)
        return recovered_at == now


def read_answers(connection: Connection, destination: str) -> Mapping[str, LastAnswer]:
    """The last answer to each key, by its fingerprint."""
    rows = connection.execute(select(answers).where(answers.c.destination == destination))
    return {
        row.pop("key"): LastAnswer(**row)
        for row in ({**each} for each in rows.mappings())
        if row.pop("destination")
    }


def prune_answers(connection: Connection, before: float) -> None:
    """Delete the answers to keys that have not been used since this time."""
    connection.execute(delete(answers).where(answers.c.answered_at < before))
