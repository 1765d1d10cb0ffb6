"""Delete what is remembered of a person beside the messages: ids, and what was sent."""

from sqlalchemy import Engine, delete, or_

from app.database.tables import identities, people


def forget(engine: Engine, address: str) -> int:
    """Delete all that is remembered of the person with this address. Returns how many rows."""
    email = address.strip().lower()
    keys = [f"{kind}:{each}" for kind in "uae" for each in (email, address.strip())]
    with engine.begin() as connection:
        of_ids = connection.execute(
            delete(identities).where(or_(identities.c.email == email, identities.c.key.in_(keys)))
        )
        of_person = connection.execute(delete(people).where(people.c.email == email))
        return of_ids.rowcount + of_person.rowcount
