"""A PostgreSQL, set so that a commit is on disk before it returns, whatever stands in between.

A pooler such as PgBouncer hands each transaction to another session. So behind one, what is set is
set for each transaction, and no statement is prepared in a session.
"""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext

LONGEST_USE = 60
"""Seconds. After a fail-over the name of the server leads to another: what only reads would go on
reading the old one."""

STILL_GOOD = ("22", "23", "40", "54", "55", "57014")
"""How the SQLSTATE begins of what is wrong with the values, the moment or the time taken. After any
other error the connection is thrown away: its server may be read-only by now, or its session
another's. To connect anew costs milliseconds, to keep a useless one every webhook."""

ISOLATION = "READ COMMITTED"
"""Whatever the server's own is: a stricter one refuses what two processes write at once."""

CLIENT_ENCODING = {"client_encoding": "utf8"}


def open_postgresql(url: URL, connections: int, patience: int) -> Engine:
    """An engine that has not connected yet, with at most so many connections. No statement takes
    longer than `patience` seconds."""
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=True,
        pool_recycle=LONGEST_USE,
        isolation_level=ISOLATION,
        connect_args={**_unless_given(url, patience), **CLIENT_ENCODING},
        hide_parameters=True,
    )
    promises = f"synchronous_commit = on; SET {{}} statement_timeout = '{patience}s'"

    @event.listens_for(engine, "connect")
    def _promise(connection: Any, record: Any) -> None:
        connection.autocommit = True
        if _is_pooled(connection):
            record.info["pooled"] = True
            connection.prepare_threshold = None
        else:
            connection.execute(f"SET {promises.format('')}")
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def _promise_once_more(connection: Connection) -> None:
        if connection.info.get("pooled"):
            driver: Any = connection.connection.driver_connection
            begin = f"BEGIN ISOLATION LEVEL {ISOLATION}; " if driver.autocommit else ""
            connection.exec_driver_sql(f"{begin}SET LOCAL {promises.format('LOCAL')}")

    event.listen(engine, "handle_error", _throw_away)
    return engine


def _unless_given(url: URL, patience: int) -> dict[str, Any]:
    """What the URL says counts."""
    wanted = {
        "connect_timeout": patience,
        # a cut cable sends no error, neither while we send nor while we wait for an answer
        "tcp_user_timeout": patience * 1000,
        "keepalives_idle": patience,
        "keepalives_interval": 1,
        "keepalives_count": patience,
        "application_name": "bridge",
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _is_pooled(connection: Any) -> bool:
    """Whether the session is another one than that which the connection began with."""
    (session,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(session != connection.info.backend_pid)


def _throw_away(context: ExceptionContext) -> None:
    state = getattr(context.original_exception, "sqlstate", None)
    if state is not None and not state.startswith(STILL_GOOD):
        context.is_disconnect = True
