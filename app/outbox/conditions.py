"""States as the indexes have them: spelt out, not bound, or SQLite could not use the indexes."""

from sqlalchemy import ColumnElement, literal_column

IS_PENDING: ColumnElement[bool] = literal_column("events.state") == literal_column("'pending'")
IS_SETTLED: ColumnElement[bool] = literal_column("events.state") != literal_column("'pending'")

WAITING_ACCOUNTS = """
    WITH RECURSIVE accounts(account) AS (
        SELECT (SELECT account FROM events WHERE state = 'pending' ORDER BY account LIMIT 1)
        UNION ALL
        SELECT (SELECT account FROM events WHERE state = 'pending' AND account > accounts.account
                ORDER BY account LIMIT 1)
        FROM accounts WHERE accounts.account IS NOT NULL
    )
    SELECT account FROM accounts WHERE account IS NOT NULL
"""
"""One index look-up an account, however many events wait: neither engine skips along by itself."""
