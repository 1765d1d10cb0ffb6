"""Text as the databases take it, and how to look for it in kept calls. Pure.

A call is ASCII JSON: `"é"` is six characters there.

The engines' own JSON functions will not do: PostgreSQL's fail at a `\\u0000`, and one such event
would end every search.
"""

import json

from sqlalchemy import ColumnElement, literal_column

ESCAPE = "!"

_ANY_ESCAPED = "_" * len(r"\u00e9")


def storable(text: str) -> str:
    """Neither engine takes half a letter (a lone surrogate), PostgreSQL no NUL either: each is a
    "?" here. For what is to be found and read; the call and the body are kept to the byte.
    """
    return text.encode(errors="replace").decode().replace("\0", "?")


def text_to_pattern(text: str) -> str:
    """A LIKE pattern, with `ESCAPE`, for all JSON that has the text somewhere, in any case.

    It may find more: a letter that is not ASCII is any such letter to it, or the half of one.
    """
    return f"%{''.join(map(_letter, text))}%"


def _letter(letter: str) -> str:
    if not letter.isascii():
        return _ANY_ESCAPED
    written = json.dumps(letter)[1:-1]
    return "".join(f"{ESCAPE}{one}" if one in f"%_{ESCAPE}" else one for one in written)


IS_PENDING: ColumnElement[bool] = literal_column("events.state") == literal_column("'pending'")
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
"""One look into the index for each account, however many messages wait for the `:destination`:
neither engine skips along an index by itself."""
