"""A warning that repeats is said once, then once a minute with a count; nothing is forgotten."""

import logging
import time
from collections.abc import Iterator
from io import StringIO

import pytest

from app import repeats
from app.repeats import OnceAMinute


class Said:
    """A logger over the handler, and the lines that were let through."""

    def __init__(self) -> None:
        self.stream = StringIO()
        self.handler = OnceAMinute()
        self.handler.setStream(self.stream)
        self.log = logging.Logger("app.somewhere")  # noqa: LOG001 - of this test alone
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def said() -> Iterator[Said]:
    said = Said()
    yield said
    said.handler.close()


def wait_for(said: Said, count: int) -> None:
    deadline = time.monotonic() + 5
    while len(said.lines) < count:
        assert time.monotonic() < deadline, said.lines
        time.sleep(0.01)


def test_the_first_is_said_at_once_and_the_next_are_held_back(said: Said) -> None:
    for number in range(5):
        said.log.warning("lost %d", number)
    assert said.lines == ["lost 0"]


def test_what_says_something_else_is_not_a_repeat(said: Said) -> None:
    said.log.warning({"event": "not taken", "reason": "HTTP 500", "events": 3})
    said.log.warning({"event": "not taken", "reason": "HTTP 503", "events": 3})
    said.log.warning({"event": "not taken", "reason": "HTTP 503", "events": 4})
    said.log.error({"event": "dead", "reason": "HTTP 503"})
    assert len(said.lines) == 3


def test_what_is_no_warning_is_always_said(said: Said) -> None:
    for _ in range(5):
        said.log.info("sent")
    assert said.lines == ["sent"] * 5


def test_the_count_is_said_after_a_minute_though_nothing_more_comes(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MINUTE", 0.1)
    for number in range(5):
        said.log.warning({"event": "quarantined", "message_id": number})
    said.log.error("lost %d", 1)
    said.log.error("lost %d", 2)
    wait_for(said, 4)
    assert sorted(said.lines[2:]) == [
        "lost 2 (repeated 1 times)",
        "{'event': 'quarantined', 'message_id': 4, 'repeated': 4}",
    ]


def test_it_goes_on_once_a_minute_and_begins_anew_after_a_quiet_one(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MINUTE", 0.15)
    said.log.warning("lost")
    said.log.warning("lost")
    wait_for(said, 2)
    said.log.warning("lost")
    assert len(said.lines) == 2
    wait_for(said, 3)
    time.sleep(0.4)
    said.log.warning("lost")
    assert said.lines[3:] == ["lost"]


def test_at_the_end_of_the_process_the_counts_are_said(said: Said) -> None:
    for _ in range(3):
        said.log.warning("lost")
    said.handler.close()
    assert said.lines == ["lost", "lost (repeated 2 times)"]
