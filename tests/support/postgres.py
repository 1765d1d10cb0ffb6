"""Databases on a PostgreSQL of the tests: fresh ones, and one that is emptied and used again."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from tests.support.databases import put_schema

CATALOG = """
    SELECT md5(string_agg(line, chr(10) ORDER BY line)) FROM (
        SELECT version_num FROM alembic_version
        UNION ALL SELECT setconfig::text FROM pg_db_role_setting
            JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%'
        UNION ALL SELECT concat(relname, relkind, attnum, attname, atttypid, attnotnull)
            FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
            WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat(conname, contype, conrelid) FROM pg_constraint
        UNION ALL SELECT concat(tgname, tgrelid) FROM pg_trigger
        UNION ALL SELECT concat(starelid, staattnum) FROM pg_statistic
            JOIN pg_class ON pg_class.oid = starelid
            WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ) AS of_catalog (line)
"""
"""A hash of what a test may have changed other than rows; also of what an ANALYZE has found, which
would change the plans of another test."""

OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

TABLES = """
    SELECT quote_ident(tablename) FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""

RESTART = """
    SELECT setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences
    WHERE last_value IS NOT NULL
"""


@contextmanager
def fresh_database(admin: str, template: str = "template1") -> Iterator[str]:
    """The URI of a database of its own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode()
        )
    yield _uri(admin, name)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class ReusedDatabase:
    """Has this version's schema and no rows. To make a database takes ten times as long as to empty
    one."""

    def __init__(self, admin: str) -> None:
        self._admin = admin
        self._connection: psycopg.Connection | None = None
        """It stays open: a new one would have to read the whole catalog each time."""
        self._tables: list[str] = []
        self._catalog: object = None

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Its URI, for one test; what the test left in it is removed afterwards."""
        connection = self._connection = self._connection or self._make()
        yield _uri(self._admin, connection.info.dbname)
        connection.execute(OTHERS)
        if self._is_as_made(connection):
            self._empty(connection)
        else:
            self.close()

    def close(self) -> None:
        """The next test gets a new database."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _make(self) -> psycopg.Connection:
        name = f"reused_{uuid4().hex}"
        with psycopg.connect(self._admin, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
        uri = _uri(self._admin, name)
        put_schema(make_url(uri).set(drivername="postgresql+psycopg"))
        connection = psycopg.connect(uri, autocommit=True)
        self._tables = [name for (name,) in connection.execute(TABLES)]
        self._catalog = connection.execute(CATALOG).fetchone()
        return connection

    def _is_as_made(self, connection: psycopg.Connection) -> bool:
        try:
            return connection.execute(CATALOG).fetchone() == self._catalog
        except psycopg.errors.UndefinedTable:  # alembic's
            return False

    def _empty(self, connection: psycopg.Connection) -> None:
        looks = ", ".join(f"EXISTS (SELECT FROM {table})" for table in self._tables)
        found = connection.execute(f"SELECT {looks}".encode()).fetchone() or ()
        filled = [table for table, has in zip(self._tables, found, strict=True) if has]
        if filled:
            connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE".encode())
        connection.execute(RESTART)


def _uri(admin: str, name: str) -> str:
    return make_url(admin).set(database=name).render_as_string(hide_password=False)
