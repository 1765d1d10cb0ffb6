"""One look at the stats at a time, kept as long as it was dear, and nobody waits without end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError

from app.errors import ConfigError
from app.monitoring import stats_cache
from app.monitoring.deliverers import ALIVE, BEAT_EVERY
from app.monitoring.stats import Stats
from app.monitoring.stats_cache import StatsCache, StatsUnavailable
from tests.support.waiting import wait_until

SOME = Stats({}, (), (), None, None, 0, 0, 0, {}, (), 0)


class Counting:
    """Takes the stats, slowly and one at a time, and knows how many; 50 ms by its clock."""

    def __init__(self) -> None:
        self.taken = 0
        self.now = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> Stats:
        assert self._lock.acquire(blocking=False)
        self.taken += 1
        time.sleep(0.05)
        self.now += 0.05
        self._lock.release()
        return SOME


def test_many_callers_share_one_look_that_is_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking = Counting()
    monkeypatch.setattr(time, "monotonic", lambda: taking.now)
    cache = StatsCache(taking)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.latest(), range(8)))
    assert found == [SOME] * 8
    taking.now += 0.99
    cache.latest()
    assert taking.taken == 1
    taking.now += 0.02
    cache.latest()
    assert taking.taken == 2


def test_a_thread_that_cannot_start_is_reported_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    cache = StatsCache(ok)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StatsUnavailable, match="could not be counted"):
            cache.latest()
    assert cache.latest() == SOME


def test_a_failure_is_not_kept() -> None:
    answers: Iterator[Callable[[], Stats]] = iter([lambda: fail(ConfigError("Run it.")), ok, ok])
    cache = StatsCache(lambda: next(answers)())
    with pytest.raises(StatsUnavailable, match=r"^Run it\.$"):
        cache.latest()
    assert cache.latest() == SOME


def fail(error: Exception) -> Stats:
    raise error


def ok() -> Stats:
    return SOME


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", {}, Exception('no host "db.inner.example" for user "bob"')),
        ValueError("ana@example.com"),
    ],
)
def test_a_failure_is_reported_without_a_librarys_words(error: Exception) -> None:
    with pytest.raises(StatsUnavailable) as found:
        StatsCache(lambda: fail(error)).latest()
    assert "log" in str(found.value)
    for word in ("inner", "bob", "ana@", "SELECT"):
        assert word not in str(found.value)


def test_a_database_that_hangs_keeps_nobody_waiting_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stats_cache, "PATIENCE", 0.3)
    answered = threading.Event()

    def hang() -> Stats:
        answered.wait(10)
        return SOME

    cache = StatsCache(hang)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(StatsUnavailable, match="does not answer"):
            cache.latest()
    assert 0.25 < time.monotonic() - began < 1.4  # five times would be 1.5 s
    answered.set()

    def answers() -> bool:
        with suppress(StatsUnavailable):
            return cache.latest() == SOME
        return False

    wait_until(answers)


def test_no_stats_are_so_old_that_a_deliverer_seems_gone() -> None:
    assert stats_cache.PATIENCE + stats_cache.LONGEST_KEPT + BEAT_EVERY < ALIVE
