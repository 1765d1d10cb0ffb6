"""Open PostgreSQL so that a commit is on disk before it returns, also through a pooler.

A pooler such as PgBouncer may run each transaction in another session. Behind one, settings are
made for each transaction, and no statement is prepared in a session.
"""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext

LONGEST_USE = 60
"""Seconds that a connection is used. After a fail-over the server's name leads to another server,
and a connection that only reads would go on reading the old one."""

LONGEST_IDLE = 30
"""Seconds that a transaction may stay open without a statement. A process that is stopped in the
middle of one would keep its locks, and hold up all others."""

STILL_GOOD = ("22", "23", "40", "54", "55", "57014")
"""First digits of the SQLSTATEs that are about values, conflicts or time-outs. After any other
error the connection is closed: its server may have become read-only, or its session may have
another role. A new connection costs milliseconds; a useless one would cost every webhook."""

ISOLATION = "READ COMMITTED"
"""Replaces the server's default: a stricter level refuses what two processes write at once."""

CLIENT_ENCODING = {"client_encoding": "utf8"}


def open_postgresql(url: URL, connections: int, patience: int) -> Engine:
    """An engine that has not connected yet and opens at most so many connections. A statement that
    takes longer than `patience` seconds is cancelled."""
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
    settings = (
        f"synchronous_commit = on; SET {{0}} statement_timeout = '{patience}s'; "
        f"SET {{0}} idle_in_transaction_session_timeout = '{LONGEST_IDLE}s'"
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        connection.autocommit = True
        if _is_pooled(connection):
            record.info["pooled"] = True
            connection.prepare_threshold = None
        else:
            connection.execute(f"SET {settings.format('')}")
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def _set_up_transaction(connection: Connection) -> None:
        if connection.info.get("pooled"):
            driver: Any = connection.connection.driver_connection
            begin = f"BEGIN ISOLATION LEVEL {ISOLATION}; " if driver.autocommit else ""
            connection.exec_driver_sql(f"{begin}SET LOCAL {settings.format('LOCAL')}")

    event.listen(engine, "handle_error", _mark_unusable)
    return engine


def _unless_given(url: URL, patience: int) -> dict[str, Any]:
    """Defaults for the parameters that the URL does not set."""
    defaults = {
        "connect_timeout": patience,
        # a cut cable raises no error, neither in sending nor in waiting for an answer
        "tcp_user_timeout": patience * 1000,
        "keepalives_idle": patience,
        "keepalives_interval": 1,
        "keepalives_count": patience,
        "application_name": "bridge",
    }
    return {name: value for name, value in defaults.items() if name not in url.query}


def _is_pooled(connection: Any) -> bool:
    """Whether a pooler is in between: the session is not the one that the connection began with."""
    (session,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(session != connection.info.backend_pid)


def _mark_unusable(context: ExceptionContext) -> None:
    state = getattr(context.original_exception, "sqlstate", None)
    if state is not None and not state.startswith(STILL_GOOD):
        context.is_disconnect = True
