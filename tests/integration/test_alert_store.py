"""Each condition is told once when it arises and once when it has passed, by one of several."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from app.database.tables import alerts
from app.monitoring.alert_store import Alert, AlertStore
from tests.support.waiting import wait_until

NONE: frozenset[str] = frozenset()
DEAD = {"dead": "3 events died"}


@pytest.fixture
def book(engine: Engine) -> AlertStore:
    return AlertStore(engine)


def tell(book: AlertStore, now: float) -> list[Alert]:
    notices = []
    while notice := book.claim(now, now + 60):
        book.mark_sent(notice)
        notices.append(notice)
    return notices


def test_a_condition_is_reported_once_and_its_end_once(
    book: AlertStore,
) -> None:
    book.note(DEAD, NONE, 100)
    assert tell(book, 100) == [Alert("dead", "3 events died", 100, is_cleared=False)]
    book.note({"dead": "4 events died"}, NONE, 130)
    assert tell(book, 130) == []
    book.note({}, NONE, 160)
    assert tell(book, 160) == [Alert("dead", "3 events died", 100, is_cleared=True)]
    assert tell(book, 10_000) == []
    book.note(DEAD, NONE, 200)
    assert tell(book, 200) == [Alert("dead", "3 events died", 200, is_cleared=False)]


def test_a_failed_report_is_repeated_after_its_claim(book: AlertStore) -> None:
    book.note(DEAD, NONE, 100)
    assert book.claim(100, 160)
    assert book.claim(159, 219) is None
    assert [notice.is_cleared for notice in tell(book, 160)] == [False]
    book.note({}, NONE, 200)
    assert book.claim(200, 260)
    assert [notice.is_cleared for notice in tell(book, 260)] == [True]


def test_a_condition_that_passed_unreported_stays_unreported(book: AlertStore) -> None:
    book.note(DEAD, NONE, 100)
    book.note({}, NONE, 130)
    assert tell(book, 130) == []


def test_a_condition_back_before_its_end_was_reported_goes_on(book: AlertStore) -> None:
    book.note(DEAD, NONE, 100)
    tell(book, 100)
    book.note({}, NONE, 130)
    book.note(DEAD, NONE, 160)
    assert tell(book, 160) == []
    book.note({}, NONE, 190)
    assert [notice.since for notice in tell(book, 190)] == [100]


def test_a_condition_that_is_not_known_does_not_change(book: AlertStore) -> None:
    book.note({"silence": "no webhook"}, NONE, 100)
    tell(book, 100)
    book.note({}, {"silence"}, 130)
    assert tell(book, 130) == []
    book.note({}, NONE, 160)
    assert [notice.is_cleared for notice in tell(book, 160)] == [True]


def test_conditions_do_not_disturb_each_other(book: AlertStore) -> None:
    book.note({"dead": "a", "waiting": "b"}, NONE, 100)
    assert {notice.name for notice in tell(book, 100)} == {"dead", "waiting"}
    book.note({"waiting": "b"}, NONE, 130)
    assert [notice.name for notice in tell(book, 130)] == ["dead"]


def test_a_change_is_returned_once_to_whoever_notes_it(
    book: AlertStore,
) -> None:
    arose, passed = (Alert("dead", "3 events died", 100, end) for end in (False, True))
    assert book.note(DEAD, NONE, 100) == [arose]
    assert book.note(DEAD, NONE, 130) == []
    assert book.note({}, NONE, 160) == [passed]
    assert book.note({}, NONE, 190) == []

    book.note(DEAD, NONE, 100)
    tell(book, 100)
    assert book.note({}, NONE, 160) == [passed]
    assert book.note(DEAD, NONE, 190) == [arose]  # before anyone was told that it had passed
    assert book.note(DEAD, NONE, 220) == []


def test_those_that_have_waited_longest_are_reported_first(book: AlertStore) -> None:
    book.note({"b": "1"}, NONE, 100)
    book.note({"a": "2", "b": "1"}, NONE, 130)
    assert [notice.name for notice in tell(book, 130)] == ["b", "a"]


@pytest.mark.parametrize("current", [DEAD, {}])
def test_one_of_many_at_once_reports_a_change(engine: Engine, current: dict[str, str]) -> None:
    AlertStore(engine).note({} if current else DEAD, NONE, 50)
    tell(AlertStore(engine), 50)

    def look(_: int) -> tuple[int, bool]:
        book = AlertStore(engine)
        noted = book.note(current, NONE, 100)
        return len(noted), book.claim(100, 160) is not None

    with ThreadPoolExecutor(2) as pool:
        noted, told = zip(*pool.map(look, range(20)), strict=True)
    assert (sum(noted), sum(told)) == (1, 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_notes_at_the_same_moment_is_no_error(engine: Engine) -> None:
    row = {"name": "dead", "text": "x", "since": 1, "stage": "raised", "due_at": 1}
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        other.execute(alerts.insert().values(row))
        noting = pool.submit(AlertStore(engine).note, DEAD, NONE, 100)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(lambda: other.scalar(waiting))
        other.commit()
        assert noting.result(timeout=5) == []
    assert [notice.text for notice in tell(AlertStore(engine), 100)] == ["x"]
