"""Requests on one thread: while one waits, others run, and each goes on when it is told."""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from queue import SimpleQueue

import pytest

from app.turns import HeldLock, Turns, held_lock

Callback = Callable[[], None]


class Loop:
    """A thread's event loop, turned by hand."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callback] = SimpleQueue()
        self.turns = Turns(self.calls.put)
        self.said: list[str] = []

    def run(self, work: Callable[[], str]) -> None:
        self.turns.run(work, self.said.append)

    def turn(self) -> None:
        """Wait for a call, and make it."""
        self.calls.get(timeout=5)()


@pytest.fixture
def loop() -> Loop:
    return Loop()


class Waiting:
    """Some work that waits in its middle; it says its name, and whether it was told in time."""

    def __init__(self, loop: Loop, name: str, timeout: float = 60) -> None:
        self.lock: HeldLock
        self._name = name
        self._timeout = timeout
        loop.run(self._work)

    def _work(self) -> str:
        self.lock = held_lock()
        told = self.lock.acquire(timeout=self._timeout)
        return f"{self._name} told" if told else f"{self._name} not told"


def test_work_that_waits_for_nothing_is_done_at_once(loop: Loop) -> None:
    loop.run(lambda: "done")
    assert loop.said == ["done"]


def test_while_one_waits_another_runs(loop: Loop) -> None:
    first = Waiting(loop, "first")
    loop.run(lambda: "second")
    assert loop.said == ["second"]
    first.lock.release()
    loop.turn()
    assert loop.said == ["second", "first told"]


def test_each_goes_on_when_it_is_told_on_the_thread_that_serves_them(loop: Loop) -> None:
    threads: list[int] = []

    def work() -> str:
        lock = held_lock()
        locks.append(lock)
        lock.acquire(timeout=60)
        threads.append(threading.get_ident())
        return "done"

    locks: list[HeldLock] = []
    for _ in range(100):
        loop.run(work)

    tellers = [threading.Thread(target=lock.release) for lock in locks]
    for teller in tellers:
        teller.start()
    while len(loop.said) < 100:
        loop.turn()
    for teller in tellers:
        teller.join()
    assert set(threads) == {threading.get_ident()}


def test_those_told_together_need_one_call_of_the_loop(loop: Loop) -> None:
    waiting = [Waiting(loop, str(number)) for number in range(3)]
    for each in waiting:
        each.lock.release()
    loop.turn()
    assert loop.said == ["0 told", "1 told", "2 told"]
    assert loop.calls.empty()


def test_who_is_told_after_that_call_has_another(loop: Loop) -> None:
    for name in ("first", "second"):
        Waiting(loop, name).lock.release()
        loop.turn()
    assert loop.said == ["first told", "second told"]


def test_whose_time_is_up_goes_on_untold_and_a_late_word_changes_nothing(loop: Loop) -> None:
    late = Waiting(loop, "late", timeout=-1)
    patient = Waiting(loop, "patient")
    loop.turns.give_up()
    assert loop.said == ["late not told"]

    late.lock.release()
    patient.lock.release()
    loop.turn()
    assert loop.said == ["late not told", "patient told"]


def test_who_waits_again_goes_on_again(loop: Loop) -> None:
    locks: list[HeldLock] = []

    def work() -> str:
        for _ in range(3):
            locks.append(held_lock())
            locks[-1].acquire(timeout=60)
        return "done"

    loop.run(work)
    for _ in range(3):
        assert loop.said == []
        locks[-1].release()
        loop.turn()
    assert loop.said == ["done"]


def test_what_follows_an_answer_may_be_the_next_request_of_many(loop: Loop) -> None:
    """Each on the loop's own stack: on the one before's, a thousand would not fit."""
    left = iter(range(1000))

    def work() -> str:
        return f"{next(left)}"

    def follow(answer: str) -> None:
        loop.said.append(answer)
        if answer != "999":
            loop.calls.put(lambda: loop.turns.run(work, follow))

    loop.turns.run(work, follow)
    while not loop.calls.empty():
        loop.turn()
    assert len(loop.said) == 1000


REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


def test_none_sees_the_context_of_another(loop: Loop) -> None:
    """In which Flask keeps its request."""
    locks: list[HeldLock] = []

    def work(name: str) -> str:
        before = REQUEST.get()
        REQUEST.set(name)
        locks.append(held_lock())
        locks[-1].acquire(timeout=60)
        return f"{before}, {REQUEST.get()}"

    loop.run(lambda: work("first"))
    loop.run(lambda: work("second"))
    for lock in reversed(locks):
        lock.release()
    loop.turn()
    assert loop.said == ["none, second", "none, first"]


def test_what_ends_the_process_ends_it_from_within_a_request(loop: Loop) -> None:
    waiting = Waiting(loop, "waiting")

    def work() -> str:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        loop.run(work)
    waiting.lock.release()
    loop.turn()
    assert loop.said == ["waiting told"]


def test_a_thread_waits_in_its_lock() -> None:
    lock = held_lock()
    teller = threading.Timer(0.05, lock.release)
    teller.start()
    assert lock.acquire(timeout=5)
    teller.join()


def test_a_thread_that_nobody_tells_goes_on() -> None:
    assert not held_lock().acquire(timeout=0.01)
