"""Clear an erased person's address from the texts that are kept beside other people's messages.

A destination's error may quote any message of a batch, and an operator may have searched for the
person. The messages themselves stay.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, or_, select, update

from app.database.sql import storable
from app.database.tables import alerts, events, notes
from app.outbox import reasons
from app.outbox.address_matcher import AddressMatcher
from app.outbox.messages import Attempt, attempt_to_line, read_history

STEP = 300
"""Messages whose texts are read at once."""

CLEARED = "(cleared: it named a person who was erased)"
"""What replaces a text that named the person."""


def clear_mentions(engine: Engine, matcher: AddressMatcher) -> None:
    """Clear errors and histories of messages, notes and alerts that mention the address."""
    for ids in _ids_to_clear(engine, matcher):
        with engine.begin() as connection:
            for id_ in ids:
                _clear_message(connection, matcher, id_)
    with engine.begin() as connection:
        _clear_notes(connection, matcher)
        _clear_alerts(connection, matcher)


def _ids_to_clear(engine: Engine, matcher: AddressMatcher) -> Iterator[list[int]]:
    """The ids of messages whose texts mention the address, in groups."""
    reader = engine.execution_options(isolation_level="AUTOCOMMIT")
    last: int | None = 0
    while last is not None:
        statement = _TEXTS.where(events.c.id > last).order_by(events.c.id).limit(STEP)
        with reader.connect() as connection:
            rows = connection.execute(statement).all()
        last = rows[-1].id if rows else None
        if ids := [row.id for row in rows if _mentions(matcher, row.error, row.history)]:
            yield ids


_TEXTS = select(events.c.id, events.c.error, events.c.history).where(
    or_(events.c.error.is_not(None), events.c.history.is_not(None)), events.c.state != "erased"
)


def _mentions(matcher: AddressMatcher, *texts: str | None) -> bool:
    return any(map(matcher.is_in, texts))


def _clear_message(connection: Connection, matcher: AddressMatcher, id_: int) -> None:
    is_this = events.c.id == id_
    row = connection.execute(_TEXTS.where(is_this).with_for_update()).one_or_none()
    if row is None:
        return
    attempts = [_clear_attempt(matcher, attempt) for attempt in read_history(row.history)]
    values: dict[str, str] = {}
    if attempts:
        values["history"] = "".join(map(attempt_to_line, attempts))
    if _mentions(matcher, row.error):
        reason = attempts[-1].reason if attempts else ""
        values["error"] = storable(f"{reason} {CLEARED}".strip())
        values["reason"] = reasons.of_failure(reason, CLEARED)
    connection.execute(update(events).where(is_this).values(values))


def _clear_attempt(matcher: AddressMatcher, attempt: Attempt) -> Attempt:
    if not _mentions(matcher, attempt.reason, attempt.words):
        return attempt
    reason = "" if _mentions(matcher, attempt.reason) else attempt.reason
    return Attempt(attempt.at, reason, CLEARED)


def _clear_notes(connection: Connection, matcher: AddressMatcher) -> None:
    for row in connection.execute(select(notes)).all():
        if _mentions(matcher, row.text):  # an operator searched for the person
            connection.execute(delete(notes).where(notes.c.name == row.name))


def _clear_alerts(connection: Connection, matcher: AddressMatcher) -> None:
    """Alerts name nobody today; this guards against the texts of a later version."""
    for row in connection.execute(select(alerts)).all():
        if _mentions(matcher, row.text):
            is_this = alerts.c.name == row.name
            connection.execute(update(alerts).where(is_this).values(text=CLEARED))
