"""Pieces of SQL that several files use: text for columns, patterns for payloads, states. Pure.

A payload is ASCII JSON, in which `"é"` takes six characters. It is searched as text, because
PostgreSQL's JSON functions fail at a `\\u0000`: one such message would end every search.
"""

import json

from sqlalchemy import ColumnElement, and_, literal_column

ESCAPE = "!"
"""The escape character of `text_to_pattern`."""

_ANY_ESCAPED = "_" * len(r"\u00e9")


def storable(text: str) -> str:
    """The text as both engines take it, for columns that are searched or shown.

    Neither engine takes a lone surrogate, and PostgreSQL no NUL: each becomes "?". Payloads and
    bodies do not pass through here; they are kept byte for byte.
    """
    return text.encode(errors="replace").decode().replace("\0", "?")


def text_to_pattern(text: str) -> str:
    """A LIKE pattern, with `ESCAPE`, that matches JSON which has the text somewhere, in upper or
    lower case.

    It may match more: in place of a letter that is not ASCII it takes any such letter. Callers have
    to check the rows.
    """
    return f"%{''.join(map(_letter, text))}%"


def _letter(letter: str) -> str:
    if not letter.isascii():
        return _ANY_ESCAPED
    written = json.dumps(letter)[1:-1]
    return "".join(f"{ESCAPE}{one}" if one in f"%_{ESCAPE}" else one for one in written)


IS_PENDING: ColumnElement[bool] = literal_column("events.state") == literal_column("'pending'")


def is_open(table: str = "events") -> ColumnElement[bool]:
    """The condition that a message is to be sent, or may be, in the order of its person. It repeats
    that of the index `events_person` word for word: otherwise SQLite would not use the index."""
    states: list[ColumnElement[str]] = [
        literal_column("'pending'"),
        literal_column("'unidentified'"),
    ]
    is_ordered = literal_column(f"{table}.person").is_not(None)
    return and_(is_ordered, literal_column(f"{table}.state").in_(states))


IS_SETTLED: ColumnElement[bool] = literal_column("events.state") != literal_column("'pending'")

WAITING_ACCOUNTS = """
    WITH RECURSIVE accounts(account) AS (
        SELECT (SELECT account FROM events
                WHERE state = 'pending' AND destination = :destination ORDER BY account LIMIT 1)
        UNION ALL
        SELECT (SELECT account FROM events
                WHERE state = 'pending' AND destination = :destination
                      AND account > accounts.account ORDER BY account LIMIT 1)
        FROM accounts WHERE accounts.account IS NOT NULL
    )
    SELECT account FROM accounts WHERE account IS NOT NULL
"""
"""The accounts that have messages waiting for `:destination`. It reads one entry of the index for
each account, however many messages wait: neither engine skips along an index by itself."""
