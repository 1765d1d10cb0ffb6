"""Trouble is reported when it begins, grows tenfold, lasts a day and ends, by one process."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from app.database.tables import alerts
from app.monitoring.alert_store import GROWTH, REMINDER, Alert, AlertStore, Stage, Trouble
from tests.support.waiting import wait_until

NONE: frozenset[str] = frozenset()
FAILED = Trouble("failed", "3 events failed", "No failed event is left", 3, 100)
WAITING = Trouble("waiting", "Nothing goes out", "It goes out again", 1, 100)
SILENCE = Trouble("silence", "No webhook", "Webhooks come again", 1, 100)


def alert(trouble: Trouble, since: float, stage: Stage) -> Alert:
    return Alert(trouble.name, trouble.text, trouble.over, since, stage, trouble.size)


@pytest.fixture
def book(engine: Engine) -> AlertStore:
    return AlertStore(engine)


def send(book: AlertStore, now: float) -> list[Alert]:
    """Send what is due."""
    sent = []
    while due := book.claim(now, now + 60):
        book.mark_sent(due, now)
        sent.append(due)
    return sent


def stages(alerts: list[Alert]) -> list[Stage]:
    return [each.stage for each in alerts]


def test_trouble_is_reported_once_and_its_end_once(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    assert send(book, 100) == [alert(FAILED, 100, "raised")]
    book.note([replace(FAILED, text="4 events failed", size=4)], NONE, 130)
    assert send(book, 130) == []
    book.note([], NONE, 160)
    assert send(book, 160) == [alert(FAILED, 100, "cleared")]
    assert send(book, 10_000) == []
    again = replace(FAILED, since=190)
    book.note([again], NONE, 200)
    assert send(book, 200) == [alert(again, 190, "raised")]


def test_trouble_that_grows_tenfold_is_reported_again(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    send(book, 100)
    for size, grown in ((3 * GROWTH - 1, False), (3 * GROWTH, True), (3 * GROWTH**2 - 1, False)):
        larger = replace(FAILED, text=f"{size} events failed", size=size)
        noted = book.note([larger], NONE, 130)
        expected = [alert(larger, 100, "grown")] if grown else []
        assert noted == send(book, 130) == expected, size
    book.note([], NONE, 160)
    assert [(each.text, each.stage) for each in send(book, 160)] == [
        ("30 events failed", "cleared")
    ]


def test_trouble_that_lasts_is_reported_again_daily(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    send(book, 100)
    for day in (1, 2):
        assert book.note([FAILED], NONE, 100 + day * REMINDER - 1) == []
        noted = book.note([FAILED], NONE, 100 + day * REMINDER)
        assert noted == send(book, 100 + day * REMINDER) == [alert(FAILED, 100, "lasting")]


def test_growth_and_reminders_wait_until_the_last_report_is_sent(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    assert book.note([replace(FAILED, size=5_000)], NONE, 100 + 2 * REMINDER) == []
    assert stages(send(book, 100 + 2 * REMINDER)) == ["raised"]


def test_the_end_is_reported_of_trouble_whose_growth_was_not_sent(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    send(book, 100)
    assert stages(book.note([replace(FAILED, size=30)], NONE, 130)) == ["grown"]
    book.note([], NONE, 160)
    assert stages(send(book, 160)) == ["cleared"]


def test_a_failed_report_is_repeated_after_its_claim(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    assert book.claim(100, 160)
    assert book.claim(159, 219) is None
    assert stages(send(book, 160)) == ["raised"]
    book.note([], NONE, 200)
    assert book.claim(200, 260)
    assert stages(send(book, 260)) == ["cleared"]


def test_trouble_that_passed_unreported_stays_unreported(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    book.note([], NONE, 130)
    assert send(book, 130) == []


def test_trouble_back_before_its_end_was_reported_goes_on(book: AlertStore) -> None:
    book.note([FAILED], NONE, 100)
    send(book, 100)
    book.note([], NONE, 130)
    book.note([FAILED], NONE, 160)
    assert send(book, 160) == []
    book.note([], NONE, 190)
    assert [each.since for each in send(book, 190)] == [100]


def test_trouble_that_is_not_known_does_not_change(book: AlertStore) -> None:
    book.note([SILENCE], NONE, 100)
    send(book, 100)
    book.note([], {"silence"}, 130)
    assert send(book, 130) == []
    book.note([], NONE, 160)
    assert stages(send(book, 160)) == ["cleared"]


def test_troubles_do_not_disturb_each_other(book: AlertStore) -> None:
    book.note([FAILED, WAITING], NONE, 100)
    assert {each.name for each in send(book, 100)} == {"failed", "waiting"}
    book.note([WAITING], NONE, 130)
    assert [each.name for each in send(book, 130)] == ["failed"]


def test_a_change_is_returned_once_to_the_process_that_notes_it(book: AlertStore) -> None:
    raised, cleared = alert(FAILED, 100, "raised"), alert(FAILED, 100, "cleared")
    assert book.note([FAILED], NONE, 100) == [raised]
    assert book.note([FAILED], NONE, 130) == []
    assert book.note([], NONE, 160) == [cleared]
    assert book.note([], NONE, 190) == []

    book.note([FAILED], NONE, 100)
    send(book, 100)
    assert book.note([], NONE, 160) == [cleared]
    assert book.note([FAILED], NONE, 190) == [raised]  # before its end was sent
    assert book.note([FAILED], NONE, 220) == []


def test_those_that_have_waited_longest_are_reported_first(book: AlertStore) -> None:
    book.note([WAITING], NONE, 100)
    book.note([FAILED, WAITING], NONE, 130)
    assert [each.name for each in send(book, 130)] == ["waiting", "failed"]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([], [FAILED]),
        ([FAILED], []),
        ([FAILED], [replace(FAILED, size=30)]),
    ],
    ids=["raised", "cleared", "grown"],
)
def test_one_of_many_at_once_reports_a_change(
    engine: Engine, before: list[Trouble], now: list[Trouble]
) -> None:
    AlertStore(engine).note(before, NONE, 50)
    send(AlertStore(engine), 50)

    def look(_: int) -> tuple[int, bool]:
        book = AlertStore(engine)
        noted = book.note(now, NONE, 100)
        return len(noted), book.claim(100, 160) is not None

    with ThreadPoolExecutor(2) as pool:
        noted, sent = zip(*pool.map(look, range(20)), strict=True)
    assert (sum(noted), sum(sent)) == (1, 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_notes_at_the_same_moment_is_no_error(engine: Engine) -> None:
    row = {
        "name": "failed",
        "text": "x",
        "over": "y",
        "since": 1,
        "size": 1,
        "stage": "raised",
        "due_at": 1,
    }
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        other.execute(alerts.insert().values(row))
        noting = pool.submit(AlertStore(engine).note, [FAILED], NONE, 100)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(lambda: other.scalar(waiting))
        other.commit()
        assert noting.result(timeout=5) == []
    assert [each.text for each in send(AlertStore(engine), 100)] == ["x"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_trouble_that_comes_back_is_returned_to_one_of_two(engine: Engine) -> None:
    book = AlertStore(engine)
    book.note([FAILED], NONE, 100)
    send(book, 100)
    book.note([], NONE, 130)
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        other.execute(alerts.update().values(stage="told"))  # the other process notes it first
        noting = pool.submit(book.note, [FAILED], NONE, 160)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(lambda: other.scalar(waiting))
        other.commit()
        assert noting.result(timeout=5) == []
