"""Follow in the database when a person gets another address, or an address at all."""

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    delete,
    exists,
    or_,
    select,
    update,
)

from app.database.sql import is_open
from app.database.tables import events, identities, people
from app.segment_to_drip.people.identity import Move


def follow(connection: Connection, destination: str, account: str, move: Move) -> None:
    """Follow a change of address.

    What is still to be sent of the old address, the change, and what comes of the new one share one
    order from now on. And the person's other ids have the new address (`Move.takes`).
    """
    old = f"e:{move.old}"
    connection.execute(
        update(events)
        .where(is_open(), events.c.destination == destination, events.c.account == account)
        .where(events.c.person == old)
        .values(person=move.order_of(old))
    )
    is_of_person = or_(identities.c.user_id.is_(None), identities.c.user_id == move.user_id)
    connection.execute(
        update(identities)
        .where(identities.c.destination == destination, identities.c.account == account)
        .where(identities.c.email == move.old, identities.c.key.not_like("u:%"), is_of_person)
        .values(email=move.new)
    )


def join_memory(
    connection: Connection, destination: str, account: str, key: str, email: str
) -> None:
    """What was sent of a person by Drip's own id was sent of the person with this address."""

    def is_(person: FromClause, name: str) -> ColumnElement[bool]:
        of_account = person.c.destination == destination, person.c.account == account
        return and_(*of_account, person.c.email == name)

    busy_until = connection.scalar(select(people.c.busy_until).where(is_(people, key)))
    if busy_until is None:
        return
    is_sooner = people.c.busy_until < busy_until
    busy = update(people).where(is_(people, email), is_sooner).values(busy_until=busy_until)
    connection.execute(busy)
    other = people.alias("other")
    is_known = exists().where(is_(other, email))
    connection.execute(update(people).where(is_(people, key), ~is_known).values(email=email))
    connection.execute(delete(people).where(is_(people, key)))
