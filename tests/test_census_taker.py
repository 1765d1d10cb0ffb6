"""One census at a time, kept as long as it was dear, and nobody waits without end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from app.errors import CannotStart
from app.monitoring import stats_cache as census_taker
from app.monitoring.stats import Census
from app.monitoring.stats_cache import CensusTaker, NoCensus

SOME = Census({}, None, False, None, None, 0, 0, 0, (), 0)


class Counting:
    """Takes a census, slowly and one at a time, and knows how many; 50 ms by its clock."""

    def __init__(self) -> None:
        self.taken = 0
        self.now = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> Census:
        assert self._lock.acquire(blocking=False)
        self.taken += 1
        time.sleep(0.05)
        self.now += 0.05
        self._lock.release()
        return SOME


def test_many_callers_share_one_and_it_is_kept_for_twenty_times_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking = Counting()
    monkeypatch.setattr(time, "monotonic", lambda: taking.now)
    taker = CensusTaker(taking)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: taker.latest(), range(8)))
    assert found == [SOME] * 8
    taking.now += 0.99
    taker.latest()
    assert taking.taken == 1
    taking.now += 0.02
    taker.latest()
    assert taking.taken == 2


def test_where_no_thread_can_be_started_that_is_said_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    taker = CensusTaker(ok)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoCensus, match="could not be counted"):
            taker.latest()
    assert taker.latest() == SOME


def test_a_failure_is_not_kept() -> None:
    answers: Iterator[Callable[[], Census]] = iter([lambda: fail(CannotStart("Run it.")), ok, ok])
    taker = CensusTaker(lambda: next(answers)())
    with pytest.raises(NoCensus, match=r"^Run it\.$"):
        taker.latest()
    assert taker.latest() == SOME


def fail(error: Exception) -> Census:
    raise error


def ok() -> Census:
    return SOME


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", {}, Exception('no host "db.inner.example" for user "bob"')),
        ValueError("ana@example.com"),
    ],
)
def test_what_went_wrong_is_told_without_the_words_of_a_library(error: Exception) -> None:
    with pytest.raises(NoCensus) as found:
        CensusTaker(lambda: fail(error)).latest()
    assert "log" in str(found.value)
    for word in ("inner", "bob", "ana@", "SELECT"):
        assert word not in str(found.value)


def test_of_a_database_that_hangs_all_are_told_when_the_first_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(census_taker, "PATIENCE", 0.3)
    answered = threading.Event()

    def hang() -> Census:
        answered.wait(10)
        return SOME

    taker = CensusTaker(hang)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(NoCensus, match="does not answer"):
            taker.latest()
    assert 0.25 < time.monotonic() - began < 0.6
    answered.set()
    time.sleep(0.05)
    assert taker.latest() == SOME
