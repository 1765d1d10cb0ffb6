"""What pages note, for all processes and for a while."""

from sqlalchemy import Engine, select

from app.database.tables import notes
from app.outbox.notes import Notes
from tests.support.clock import Clock


def test_a_note_is_kept_once_and_known_to_all(engine: Engine, clock: Clock) -> None:
    assert Notes(engine, clock).keep("a", "hol\0a", 10)
    assert not Notes(engine, clock).keep("a", "other", 10)
    assert Notes(engine, clock).text("a") == "hol?a"
    assert Notes(engine, clock).text("b") is None


def test_a_note_goes_when_its_time_is_over(engine: Engine, clock: Clock) -> None:
    noted = Notes(engine, clock)
    noted.keep("short", "", 10)
    noted.keep("again", "", 10)
    clock.now += 9
    noted.keep("again", "", 10)
    clock.now += 1
    assert [noted.text(name) for name in ("short", "again")] == [None, ""]
    assert noted.keep("new", "", 10)
    with engine.connect() as connection:
        assert set(connection.scalars(select(notes.c.name))) == {"again", "new"}
    assert noted.keep("short", "", 10)
