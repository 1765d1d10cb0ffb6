"""A database is brought to this version's schema, or refused with what to do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from app.database import schema
from app.database.engine import BUSY_SECONDS, open_database
from app.database.schema import check_schema, make_ready, upgrade
from app.database.tables import metadata
from app.errors import ConfigError
from app.monitoring.stats import take_stats
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from tests.support.builders import message
from tests.support.logged import Logged
from tests.support.waiting import wait_until

ARRIVAL = message("drip-1")


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def test_an_empty_sqlite_is_made_ready_a_postgresql_is_not(empty: Engine) -> None:
    if is_sqlite(empty):
        make_ready(empty)
    else:
        with pytest.raises(ConfigError, match=r"not there yet.* Run: flask db upgrade$"):
            make_ready(empty)
        upgrade(empty)

    make_ready(empty)
    assert Store(empty, "segment").put([ARRIVAL]) == {"drip-1"}


def test_making_ready_again_keeps_what_is_there(engine: Engine) -> None:
    Store(engine, "segment").put([ARRIVAL])

    make_ready(engine)
    upgrade(engine)

    assert Store(engine, "segment").put([ARRIVAL]) == set()


def test_a_newer_versions_schema_is_refused_with_what_to_do(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError) as caught:
        make_ready(engine)

    assert "9999" in str(caught.value)
    assert "newer version" in str(caught.value)
    assert "Run that version, or restore a backup" in str(caught.value)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_keep_every_letter_is_refused(postgres: str, encoding: str) -> None:
    name = f"test_{encoding.lower()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode()
        )
    engine = open_database(make_url(postgres).set(drivername="postgresql+psycopg", database=name))

    for bring_up in (upgrade, make_ready):
        with pytest.raises(ConfigError, match=rf"DATABASE_URL: .*{encoding}.*ENCODING 'UTF8'"):
            bring_up(engine)
    engine.dispose()


def test_looking_at_the_schema_needs_no_write_lock(engine: Engine) -> None:
    other = open_database(engine.url)
    began = time.monotonic()
    with other.begin():
        make_ready(engine)
    assert time.monotonic() - began < BUSY_SECONDS / 2
    other.dispose()


def test_the_migrations_give_the_tables_of_the_code(engine: Engine) -> None:
    with engine.begin() as connection:
        # Alembic compares this index, which only PostgreSQL has, with SQLite's too
        ours = {"events_email_prefix"} if is_sqlite(engine) else set()
        options = {
            "compare_type": True,
            "include_object": lambda _, name, *__: name not in ours,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_migrations_give_the_same_constraints_and_indexes(
    engine: Engine,
) -> None:
    migrated = definitions(engine)

    metadata.drop_all(engine)
    metadata.create_all(engine)

    assert migrated == definitions(engine)
    assert any("where" in found and "pending" in found for found in migrated)


SQLITE_DEFINITIONS = """
    SELECT replace(sql, '"', '') FROM sqlite_schema
    WHERE tbl_name IN ('events', 'bodies', 'answers', 'alerts', 'traffic', 'skipped', 'deliverers',
        'loads', 'erasures')
        AND sql IS NOT NULL
"""

POSTGRESQL_DEFINITIONS = """
    SELECT indexdef FROM pg_indexes
    WHERE tablename IN ('events', 'bodies', 'answers', 'alerts', 'traffic', 'skipped', 'deliverers',
        'loads', 'erasures')
    UNION ALL
    SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid IN ('events'::regclass, 'bodies'::regclass, 'answers'::regclass,
        'alerts'::regclass, 'traffic'::regclass, 'skipped'::regclass, 'deliverers'::regclass)
    UNION ALL
    SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns
    WHERE table_name IN
        ('events', 'bodies', 'answers', 'alerts', 'traffic', 'skipped', 'deliverers', 'loads',
            'erasures')
"""


def definitions(engine: Engine) -> set[str]:
    """Each definition as the engine keeps it, whatever Alembic compares."""
    statement = SQLITE_DEFINITIONS if is_sqlite(engine) else POSTGRESQL_DEFINITIONS
    with engine.begin() as connection:
        found: list[str] = list(connection.scalars(text(statement)))
    return {" ".join(sql.split()).lower() for sql in found}


def test_an_upgrade_waits_for_another_that_takes_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.engine.BUSY_SECONDS", 1)
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))

    with ThreadPoolExecutor(2) as pool, psycopg.connect(postgres_url) as slow:
        slow.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        upgrades = [pool.submit(upgrade, engine) for _ in range(2)]
        _, still_waiting = wait(upgrades, timeout=1.5)
        slow.rollback()
    engine.dispose()

    assert [done.exception() for done in upgrades] == [None, None]
    assert still_waiting == set(upgrades)


def test_a_failed_migration_leaves_nothing_behind(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE events_waiting (id INTEGER)"))

    # the table's index cannot take a name that is taken: the second half of the migration fails
    with pytest.raises(Exception, match="events_waiting"):
        upgrade(empty)

    with empty.begin() as connection:
        connection.execute(text("DROP TABLE events_waiting"))
    upgrade(empty)
    assert Store(empty, "segment").put([ARRIVAL]) == {"drip-1"}


def bring_to(engine: Engine, *revisions: str) -> None:
    """The schema of an older version, by its migrations."""
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            for name in revisions:
                import_module(f"app.database.migrations.versions.{name}").upgrade()
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(
            text("INSERT INTO alembic_version VALUES (:number)"), {"number": revisions[-1][:4]}
        )


BEFORE_BODIES = ("0001_events", "0002_living_with_the_data", "0003_history_and_traffic")


def test_an_upgrade_and_writers_do_not_wait_for_one_another(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.2)
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    bring_to(engine, *BEFORE_BODIES)
    is_over = threading.Event()

    writing: set[int] = set()

    def write() -> int:
        turns = 0
        with psycopg.connect(postgres_url) as connection:
            while not is_over.is_set():
                connection.execute("SELECT count(*) FROM events")
                time.sleep(0.01)  # as long as it has the weakest lock on it
                connection.execute("UPDATE events SET tries = 1")
                connection.commit()
                turns += 1
                writing.add(threading.get_ident())
        return turns

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write) for _ in range(4)]
        wait_until(lambda: len(writing) == len(writers))
        try:
            upgrade(engine)
        finally:
            is_over.set()
        assert all(writer.result() for writer in writers)
    make_ready(engine)
    engine.dispose()


def test_an_upgrade_lets_others_write_if_a_table_is_held(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.2)
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    bring_to(engine, *BEFORE_BODIES)

    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(postgres_url) as slow,
        psycopg.connect(postgres_url, autocommit=True) as other,
    ):
        slow.execute("SELECT count(*) FROM events")
        upgrading = pool.submit(upgrade, engine)
        for _ in range(20):
            other.execute("UPDATE events SET tries = 1")
            time.sleep(0.05)
        assert not upgrading.done()
        slow.commit()
        upgrading.result(timeout=30)
    make_ready(engine)
    engine.dispose()


def test_an_upgrade_is_logged_with_how_much_there_is_to_do(empty: Engine, logged: Logged) -> None:
    bring_to(empty, *BEFORE_BODIES)

    upgrade(empty)
    upgrade(empty)

    assert logged.text.count("bringing the database to this version's schema") == 1
    assert "'events': 0" in logged.text
    assert logged.text.count("the database has this version's schema") == 1


def test_an_older_file_is_left_to_whoever_may_upgrade_it(tmp_path: Path) -> None:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    bring_to(engine, *BEFORE_BODIES)

    make_ready(engine, may_upgrade=False)
    with pytest.raises(ConfigError):
        check_schema(engine)

    assert GroupCommit(Store(engine, "segment")).put(ARRIVAL)
    check_schema(engine)
    engine.dispose()


def test_an_older_database_is_filled_from_what_it_keeps(empty: Engine) -> None:
    call = '{"event": "Email Opened", "context": {"traits": {"email": "Ana@Example.com"}}}'
    bring_to(empty, "0001_events")
    with empty.begin() as connection:
        insert = text(
            "INSERT INTO events (message_id, account, state, payload, payload_bytes, raw,"
            " received_at, due_at, tries) VALUES (:id, '', :state, :payload, 0, :raw, 7, 7, 0)"
        )
        rows = [("a", "sent", call), ("b", "pending", '{"event": "E"}'), ("c", "quarantined", None)]
        connection.execute(
            insert, [{"id": i, "state": s, "payload": p, "raw": b"\x00"} for i, s, p in rows]
        )

    upgrade(empty)

    with empty.begin() as connection:
        found = connection.execute(
            text(
                "SELECT message_id, collection, email, settled_at, payload, raw"
                " FROM events JOIN bodies ON bodies.event = events.id ORDER BY 1"
            )
        ).all()
    assert [row[:4] for row in found] == [
        ("a", "Email Opened", "ana@example.com", None),
        ("b", "E", None, None),
        ("c", None, None, 7.0),
    ]
    assert [row.payload for row in found] == [payload for _, _, payload in rows]
    assert {bytes(row.raw) for row in found} == {b"\x00"}


BEFORE_DESTINATIONS = (
    *BEFORE_BODIES,
    *("0004_bodies", "0005_addresses_of_any_length", "0006_notes", "0007_clock"),
)


def test_events_of_before_destinations_go_to_segment(empty: Engine) -> None:
    bring_to(empty, *BEFORE_DESTINATIONS)
    with empty.begin() as connection:
        for number, state in enumerate(("pending", "sent", "quarantined")):
            connection.execute(
                text(
                    "INSERT INTO events (message_id, account, state, payload_bytes, received_at,"
                    " due_at, tries) VALUES (:id, '4417', :state, 2, 7, 7, 0)"
                ),
                {"id": f"drip-{number}", "state": state},
            )
        connection.execute(
            text("INSERT INTO bodies SELECT id, '{}', :raw FROM events"), {"raw": b"\x00"}
        )
        connection.execute(text("INSERT INTO traffic VALUES (60, 'Email Opened', 3, 2)"))

    upgrade(empty)

    with empty.begin() as connection:
        kept = connection.execute(
            text(
                "SELECT message_id, destination, state, payload, raw"
                " FROM events JOIN bodies ON bodies.event = events.id ORDER BY 1"
            )
        ).all()
        assert [(*row[:4], bytes(row.raw)) for row in kept] == [
            ("drip-0", "segment", "pending", "{}", b"\x00"),
            ("drip-1", "segment", "sent", "{}", b"\x00"),
            ("drip-2", "segment", "quarantined", "{}", b"\x00"),
        ]
        assert connection.execute(
            text("SELECT destination, minute, collection, received, sent FROM traffic")
        ).all() == [("segment", 60, "Email Opened", 3, 2)]
        connection.execute(text("DELETE FROM events WHERE message_id = 'drip-0'"))
        assert (
            connection.scalar(text("SELECT count(*) FROM bodies")) == 2
        )  # one goes with its event
    assert Store(empty, "segment").put([ARRIVAL]) == set()
    assert Store(empty, "another").put([ARRIVAL]) == {"drip-1"}


BEFORE_ISSUES = (*BEFORE_DESTINATIONS, "0008_destinations", "0009_people")
FAILED_STATES = {"dead", "quarantined", "expired"}


def test_what_failed_before_there_were_issues_is_one(empty: Engine) -> None:
    bring_to(empty, *BEFORE_ISSUES)
    states = ("pending", "sent", "dead", "quarantined", "erased", "unidentified", "expired")
    with empty.begin() as connection:
        for state in states:
            connection.execute(
                text(
                    "INSERT INTO events (destination, message_id, account, state, received_at,"
                    " due_at, tries, settled_at) VALUES ('segment', :state, '4417', :state, 7, 7,"
                    " 1, CASE WHEN :state IN ('pending', 'unidentified') THEN NULL ELSE 8 END)"
                ),
                {"state": state},
            )
        traffic = text(
            "INSERT INTO traffic (destination, minute, collection, received, sent)"
            " VALUES ('segment', 60, 'Email Opened', 3, 2)"
        )
        connection.execute(text("INSERT INTO alerts VALUES ('paused', 'text', 7, 'told', 8)"))
        connection.execute(traffic)

    upgrade(empty)

    with empty.begin() as connection:
        kept = connection.execute(text("SELECT state, reason, dismissed_at FROM events")).all()
        assert {state: reason for state, reason, _ in kept} == {
            state: "kept by an earlier version" if state in FAILED_STATES else None
            for state in states
        }
        assert {dismissed_at for *_, dismissed_at in kept} == {None}
        assert connection.execute(text("SELECT * FROM alerts")).all() == []
        retried_and_failed = text("SELECT received, sent, retried, failed FROM traffic")
        assert connection.execute(retried_and_failed).all() == [(3, 2, 0, 0)]
    stats = take_stats(empty, "segment", 100.0, lambda _: "key")
    assert {issue.state for issue in stats.issues} == FAILED_STATES
    assert [(each.cause, each.count) for each in stats.waiting] == [("queued", 1)]
