"""The tables of the outbox. Times are in seconds since the epoch."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    DDL,
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
    event,
    text,
)

metadata = MetaData()

IS_ISSUE = "state IN ('dead', 'quarantined', 'expired') AND dismissed_at IS NULL"
"""Which messages an operator has to retry or dismiss."""

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # the name of the `Destination`
    Column("destination", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    # of the source; it decides the key that the message is sent with
    Column("account", Text, nullable=False),
    # pending → sent | dead. A quarantined message has no payload and is not sent. An erased one has
    # only its id left. An unidentified one waits until it is known whose it is; if that does not
    # become known in time it is expired
    Column("state", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    # when it may next be claimed; a claim moves this to the end of its lease
    Column("due_at", Double, nullable=False),
    # the token of the lease that it is under
    Column("lease", Text),
    Column("tries", Integer, nullable=False),
    # why it has this state: the last failure, or the errors of a body that could not be read
    Column("error", Text),
    # when it was sent, given up, quarantined or erased
    Column("settled_at", Double),
    # to search by: the collection, and the person's address in small letters
    Column("collection", Text),
    Column("email", Text),
    # a line of JSON for each failed try; see app/outbox/messages.py
    Column("history", Text),
    # whose message it is, for destinations that want each person's messages in order: "e:" and an
    # address, or "d:" and the destination's own id; of an unidentified message what it waits for,
    # "u:" and a user id or "a:" and an anonymous id; "" before anybody has looked. NULL for
    # destinations without such an order. The address may be one that the person has later than the
    # message's own, which is in `email`
    Column("person", Text),
    # the error in a form that those with the same trouble share (app/outbox/reasons.py)
    Column("reason", Text),
    # when an operator put aside a dead, expired or quarantined message, which nobody need look at
    Column("dismissed_at", Double),
    CheckConstraint(
        "state IN ('pending', 'sent', 'dead', 'quarantined', 'erased', 'unidentified', 'expired')",
        name="events_state",
    ),
)

# recognises a re-send without a look-up of its own
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

# for how many wait of each account, and since when
Index(
    "events_unsent",
    events.c.destination,
    events.c.account,
    events.c.received_at,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

# for counts, and for pruning
Index(
    "events_settled",
    events.c.state,
    events.c.settled_at,
    events.c.destination,
    sqlite_where=text("state <> 'pending'"),
    postgresql_where=text("state <> 'pending'"),
)

# for the issues: what has failed, by reason, and was not dismissed
Index(
    "events_issues",
    events.c.destination,
    events.c.state,
    events.c.reason,
    events.c.settled_at,
    events.c.id,
    sqlite_where=text(IS_ISSUE),
    postgresql_where=text(IS_ISSUE),
)

# for how many were dismissed
Index(
    "events_dismissed",
    events.c.destination,
    events.c.state,
    sqlite_where=text("dismissed_at IS NOT NULL"),
    postgresql_where=text("dismissed_at IS NOT NULL"),
)

# for the order of one person's messages, and for what waits for a user id
Index(
    "events_person",
    events.c.destination,
    events.c.person,
    events.c.id,
    sqlite_where=text("person IS NOT NULL AND state IN ('pending', 'unidentified')"),
    postgresql_where=text("person IS NOT NULL AND state IN ('pending', 'unidentified')"),
)

# PostgreSQL's other indexes take 2,700 bytes a row at most, and an address may have any number
Index("events_email", events.c.email, postgresql_using="hash")

# finds an address by its beginning; SQLite has the index above for that. PostgreSQL's order of text
# may be any language's, and a longer row might not fit into the index
SHORT_EMAIL = "length(email) <= 200"
Index(
    "events_email_prefix",
    events.c.email,
    postgresql_ops={"email": "text_pattern_ops"},
    postgresql_where=text(SHORT_EMAIL),
).ddl_if(dialect="postgresql")

# apart from `events`: claiming or settling a message rewrites its row, and bodies are large
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
    # what the destination gets, in ASCII JSON; none if the body could not be read
    Column("payload", Text),
    # the body that came, byte for byte
    Column("raw", LargeBinary, nullable=False),
)

whole = events.join(bodies)

answers = Table(
    "answers",
    metadata,
    # how the destination last answered to each key
    Column("destination", Text, primary_key=True),
    # a hash of the key (app/outbox/answers.py)
    Column("key", Text, primary_key=True),
    # taken | rejected | failing | refused | unreachable | limited
    Column("kind", Text, nullable=False),
    # what happened, such as "HTTP 500", and what an operator has to check
    Column("reason", Text, nullable=False),
    Column("answered_at", Double, nullable=False),
    # when the destination last took something with the key
    Column("taken_at", Double),
    # since when it takes nothing; NULL if it does
    Column("failing_since", Double),
    # requests that failed since then
    Column("failures", Integer, nullable=False),
    # when the last such time ended
    Column("recovered_at", Double),
    # when the key is tried again
    Column("next_at", Double, nullable=False),
)

deliverers = Table(
    "deliverers",
    metadata,
    # the processes that send; each reports every few seconds that it runs
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    # as `events.person` has it: of a user id, an anonymous id or the destination's own; or of an
    # address that was changed
    Column("key", Text, primary_key=True),
    # the person's address; NULL if none is known, or if several people share the anonymous id
    Column("email", Text),
    # of an anonymous id: the user id that appeared under it; "*" if several did. Of an address that
    # was changed: the user id whose it was
    Column("user_id", Text),
)

Index("identities_email", identities.c.email)

people = Table(
    "people",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    # in small letters; of a person without one, "d:" and the destination's own id
    Column("email", Text, primary_key=True),
    # what was sent of the person and need not be sent again, in JSON
    Column("memory", Text, nullable=False),
    # until when a batch may be at work on the person; nothing is sent meanwhile
    Column("busy_until", Double, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    # the process that sends for the account; no other does so before `until`
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Double, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    # how many requests of an account were sent in each second, for limits by the hour
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("bucket", Text, primary_key=True),
    # since the epoch
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("bucket", Text, primary_key=True),
    # until when the destination takes no such requests, although by our own count it would
    Column("closed_until", Double, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    # the name of the check; the row stays until the end of the trouble has been reported
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    # what the end of the trouble is called
    Column("over", Text, nullable=False),
    Column("since", Double, nullable=False),
    # how large the trouble was when it was last reported
    Column("size", Integer, nullable=False),
    # raised → told (reported) → grown or lasting → told → cleared → (row deleted)
    Column("stage", Text, nullable=False),
    # when an alert that is to be reported may next be sent; a claim moves it, as with messages. Of
    # a reported one, when it was
    Column("due_at", Double, nullable=False),
    CheckConstraint(
        "stage IN ('raised', 'grown', 'lasting', 'told', 'cleared')", name="alerts_stage"
    ),
)

notes = Table(
    "notes",
    metadata,
    # the kind and the name: of an ended session, of a used link, of a search
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    # when it may be deleted
    Column("until", Double, nullable=False),
)

traffic = Table(
    "traffic",
    metadata,
    Column("destination", Text, primary_key=True),
    # when the minute began
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    # "" for bodies that could not be read
    Column("collection", Text, primary_key=True),
    Column("received", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    # of the sent ones, those that were not taken at the first try
    Column("retried", Integer, nullable=False, server_default="0"),
    # given up
    Column("failed", Integer, nullable=False, server_default="0"),
)

skipped = Table(
    "skipped",
    metadata,
    # webhooks, or events in them, of which nothing was kept
    Column("destination", Text, primary_key=True),
    # when the minute began
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    # such as "duplicate", "ignored" or "refused"
    Column("reason", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

loads = Table(
    "loads",
    metadata,
    # how far the messages for a destination were loaded into a warehouse, which is named by a
    # fingerprint (app/outbox/loads.py)
    Column("warehouse", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    # the id of the last event that was loaded: those up to it are in the warehouse, the others not
    Column("last_event", BigInteger, nullable=False),
    # how many were loaded
    Column("count", BigInteger, nullable=False),
    # when a load last came to its end
    Column("loaded_at", Double),
    # since when none does, and why
    Column("failing_since", Double),
    Column("error", Text),
)

# SQLite gives the id of the newest event again if that was deleted. An event with an id that was
# loaded before would never be loaded
event.listen(
    metadata,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        """
    CREATE TRIGGER events_last_loaded AFTER DELETE ON events
    WHEN EXISTS (SELECT 1 FROM loads WHERE last_event > (SELECT coalesce(max(id), 0) FROM events))
    BEGIN
        UPDATE loads SET last_event = (SELECT coalesce(max(id), 0) FROM events)
        WHERE last_event > (SELECT coalesce(max(id), 0) FROM events);
    END
"""
    ).execute_if(dialect="sqlite"),
)

erasures = Table(
    "erasures",
    metadata,
    # a person who was erased here and not yet in a warehouse; then the row goes
    Column("warehouse", Text, primary_key=True),
    Column("email", Text, primary_key=True),
    Column("asked_at", Double, nullable=False),
)

clock = Table(
    "clock",
    metadata,
    # a single row
    Column("id", Integer, primary_key=True, autoincrement=False),
    # the last time that was believed (app/outbox/clock.py)
    Column("seen_at", Double, nullable=False),
)


def columns_of(names: Iterable[str]) -> list[Column[Any]]:
    """The columns of `whole` with these names, in this order."""
    return [bodies.c[name] if name in bodies.c else events.c[name] for name in names]
