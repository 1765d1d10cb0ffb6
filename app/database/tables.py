"""The outbox's tables. Times are seconds since the epoch."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # where it goes: the name of a `Destination`
    Column("destination", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    # whose events these are: decides the key that they are sent with
    Column("account", Text, nullable=False),
    # pending → sent | dead; quarantined has no payload and is not sent; erased is but its id
    Column("state", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    # when it may next be claimed; a claim moves this to the end of its lease
    Column("due_at", Double, nullable=False),
    # the token of the claim that holds it
    Column("lease", Text),
    Column("tries", Integer, nullable=False),
    # why it is where it is: the last failure's words, or what could not be read, field by field
    Column("error", Text),
    # when it was sent, given up, set aside or erased
    Column("settled_at", Double),
    # its Segment event name, and its person in small letters: to find it by
    Column("collection", Text),
    Column("email", Text),
    # its failed tries, a line of JSON each; see app/outbox/messages.py
    Column("history", Text),
    CheckConstraint(
        "state IN ('pending', 'sent', 'dead', 'quarantined', 'erased')", name="events_state"
    ),
)

# what makes a re-send free
Index("events_message", events.c.message_id, events.c.destination, unique=True)

Index(
    "events_waiting",
    events.c.destination,
    events.c.account,
    events.c.due_at,
    events.c.id,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

# the oldest one that waits
Index(
    "events_unsent",
    events.c.destination,
    events.c.received_at,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

# how many, since when, and which are old enough to go
Index(
    "events_settled",
    events.c.state,
    events.c.settled_at,
    events.c.destination,
    sqlite_where=text("state <> 'pending'"),
    postgresql_where=text("state <> 'pending'"),
)

# of PostgreSQL's other indexes a row may have 2,700 bytes, and an address any number
Index("events_email", events.c.email, postgresql_using="hash")

# apart from the events: an event's row is written anew each time it is claimed or settled, its body
# is written once
bodies = Table(
    "bodies",
    metadata,
    Column(
        "event",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("events.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    # what goes out, in ASCII JSON; none of what could not be read
    Column("payload", Text),
    # what came in, to the byte
    Column("raw", LargeBinary, nullable=False),
)

whole = events.join(bodies)

pauses = Table(
    "pauses",
    metadata,
    # whose events wait because the destination refused their key, or its address is wrong
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("until", Double, nullable=False),
    Column("reason", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    # which condition; one row from when it arises until it was told that it has passed
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("since", Double, nullable=False),
    # raised → told → cleared → (gone)
    Column("stage", Text, nullable=False),
    # when raised and cleared may next be told: a claim moves it, as that of an event
    Column("due_at", Double, nullable=False),
    CheckConstraint("stage IN ('raised', 'told', 'cleared')", name="alerts_stage"),
)

notes = Table(
    "notes",
    metadata,
    # what it is, and of what: a session that was ended, a link that was used, a search
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    # when it may go
    Column("until", Double, nullable=False),
)

traffic = Table(
    "traffic",
    metadata,
    # its start, and an event's collection, or "" if it could not be read
    Column("destination", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("collection", Text, primary_key=True),
    Column("received", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
)

clock = Table(
    "clock",
    metadata,
    # one row: until when the clock was seen to run evenly, and was believed
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seen_at", Double, nullable=False),
)


def columns_of(names: Iterable[str]) -> list[Column[Any]]:
    """The columns of `whole` with these names."""
    return [bodies.c[name] if name in bodies.c else events.c[name] for name in names]
