"""Remember what was sent of each person, so that Drip gets it once."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Engine, delete, select

from app.database.engine import dialect_of, reader
from app.database.tables import people
from app.segment_to_drip.sending.operations import Person

NOBODY = Person()
"""Nothing was sent of this person yet."""


class People:
    """What was sent to Drip of each person, by the address in lower case, or by the key of Drip's
    own id."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._engine = engine
        self._destination = destination
        self._insert = dialect_of(engine).insert

    def load(self, account: str, addresses: Collection[str]) -> dict[str, Person]:
        """What is remembered of these people; of those that are not known, that they are not."""
        statement = select(people.c.email, people.c.memory).where(*self._are(account, addresses))
        with reader(self._engine) as connection:
            known = {email: _to_person(memory) for email, memory in connection.execute(statement)}
        return {address: known.get(address, NOBODY) for address in addresses}

    def save(self, account: str, remembered: Mapping[str, Person], busy_until: float = 0.0) -> None:
        """Remember these people. Nothing is sent of them before `busy_until`. If there is
        nothing to remember of a person, nothing is kept."""
        rows = [
            {
                "destination": self._destination,
                "account": account,
                "email": address,
                "memory": _to_text(person),
                "busy_until": busy_until,
            }
            for address, person in sorted(remembered.items())
            if person != NOBODY
        ]
        new = self._insert(people)
        saved = new.on_conflict_do_update(
            index_elements=[*people.primary_key],
            set_={"memory": new.excluded.memory, "busy_until": new.excluded.busy_until},
        )
        gone = [address for address, person in remembered.items() if person == NOBODY]
        with self._engine.begin() as connection:
            if rows:
                connection.execute(saved, rows)
            if gone:
                connection.execute(delete(people).where(*self._are(account, gone)))

    def _are(self, account: str, addresses: Collection[str]) -> tuple[ColumnElement[bool], ...]:
        return (
            people.c.destination == self._destination,
            people.c.account == account,
            people.c.email.in_(addresses),
        )


def _to_text(person: Person) -> str:
    return json.dumps(
        {
            "known": person.is_known,
            "once": dict(person.once),
            "campaigns": sorted(person.campaigns),
            "unsubscribed": person.is_unsubscribed,
        }
    )


def _to_person(memory: str) -> Person:
    value = json.loads(memory)
    return Person(
        is_known=value["known"],
        once=value["once"],
        campaigns=frozenset(value["campaigns"]),
        is_unsubscribed=value["unsubscribed"],
    )
