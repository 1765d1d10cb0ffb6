"""A warning that repeats is said once, then once a minute with a count; nothing is forgotten."""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from structlog.processors import KeyValueRenderer
from structlog.stdlib import add_log_level, add_logger_name
from structlog.types import EventDict

from app import log_handlers
from app.log_handlers import DeduplicatingHandler, LineHandler
from app.logs import configure_logs, get_logger
from tests.support.waiting import wait_until


def without_traceback(_: object, __: str, line: EventDict) -> EventDict:
    del line["exc_info"]
    return line


PROCESSORS = (add_logger_name, add_log_level, without_traceback)
RENDERER = KeyValueRenderer(drop_missing=True, repr_native_str=False)


class Said:
    """A handler with a library's logger, and the lines that were let through."""

    def __init__(self) -> None:
        self.stream = StringIO()
        self.handler = DeduplicatingHandler(PROCESSORS, RENDERER)
        self.handler.setStream(self.stream)
        self.library = logging.Logger("a.library")  # noqa: LOG001 - of this test alone
        self.library.addHandler(self.handler)

    def own(self, level: str, event: str, **fields: object) -> None:
        """What the bridge itself says."""
        self.handler.emit_line({"event": event, "level": level, **fields}, event)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def said() -> Iterator[Said]:
    said = Said()
    yield said
    said.handler.close()


def wait_for(said: Said, count: int) -> None:
    wait_until(lambda: len(said.lines) >= count, report=lambda: str(said.lines))


def test_the_first_is_logged_at_once_and_the_next_held_back(said: Said) -> None:
    for number in range(5):
        said.library.warning("lost %d", number)
        said.own("warning", "not taken", events=number)
    assert said.lines == [
        "event=lost 0 logger=a.library level=warning",
        "event=not taken level=warning events=0",
    ]


def test_another_line_is_not_a_repeat(said: Said) -> None:
    said.own("warning", "not taken", reason="HTTP 500", events=3)
    said.own("warning", "not taken", reason="HTTP 503", events=3)
    said.own("warning", "not taken", reason="HTTP 503", events=4)
    said.own("error", "dead", reason="HTTP 503")
    said.own("error", "dead", reason="HTTP 503", logger="app.other")
    assert len(said.lines) == 4


def test_what_is_no_warning_is_always_logged(said: Said) -> None:
    for _ in range(5):
        said.own("info", "sent")
        said.library.info("met")
    assert len(said.lines) == 10


def test_the_count_is_logged_after_a_minute_by_itself(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_handlers, "MINUTE", 0.1)
    for number in range(5):
        said.own("warning", "quarantined", message_id=number)
    said.library.error("lost %d", 1)
    said.library.error("lost %d", 2)
    wait_for(said, 4)
    assert sorted(said.lines[2:]) == [
        "event=lost 2 logger=a.library level=error repeated=1",
        "event=quarantined level=warning message_id=4 repeated=4",
    ]


def test_the_count_begins_anew_after_a_quiet_minute(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_handlers, "MINUTE", 0.15)
    said.own("error", "lost")
    said.own("error", "lost")
    wait_for(said, 2)
    said.own("error", "lost")
    assert len(said.lines) == 2
    wait_for(said, 3)
    time.sleep(0.4)  # quiet for more than a minute
    said.own("error", "lost")
    assert said.lines[3:] == ["event=lost level=error"]


def test_one_thread_serves_all_that_is_held_back(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_handlers, "MINUTE", 0.3)
    before = threading.active_count()
    for account in range(2_000):
        for _ in range(2):
            said.own("warning", "events are held", account=account)
    assert threading.active_count() <= before + 1
    wait_for(said, 4_000)
    wait_until(lambda: threading.active_count() <= before)
    said.own("warning", "lost")
    said.own("warning", "lost")
    wait_for(said, 4_002)


def test_counts_come_with_the_next_line_if_no_thread_starts(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(log_handlers, "MINUTE", 0.1)
    said.own("error", "lost")
    said.own("error", "lost")
    said.library.error("broken %d", 1)
    time.sleep(0.15)  # the minute
    said.own("error", "found")
    assert said.lines == [
        "event=lost level=error",
        "event=broken 1 logger=a.library level=error",
        "event=lost level=error repeated=1",
        "event=found level=error",
    ]


def test_a_child_does_not_log_what_its_parent_holds_back(said: Said, tmp_path: Path) -> None:
    said.own("error", "lost")
    said.own("error", "lost")
    child = os.fork()
    if not child:  # pragma: no cover
        with (tmp_path / "of the child").open("w") as stream:
            said.handler.setStream(stream)
            said.own("error", "lost")
            said.handler.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "of the child").read_text() == "event=lost level=error\n"
    said.handler.close()
    assert len(said.lines) == 2


def test_the_counts_are_logged_at_the_end_of_the_process(said: Said) -> None:
    for _ in range(3):
        said.own("error", "lost")
    said.handler.close()
    assert said.lines == ["event=lost level=error", "event=lost level=error repeated=2"]


def test_a_line_that_cannot_be_written_or_read_costs_nothing(
    said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = LineHandler(PROCESSORS, RENDERER)
    with Path("/dev/full").open("w") as full:
        handler.setStream(full)
        handler.emit_line({"event": "accepted"}, "accepted")
        with pytest.raises(OSError, match="No space left"):
            full.close()
    handler.emit_line({"event": "into a file that is closed"}, "")
    said.library.error("lost %d", "canary")
    assert (said.lines, capsys.readouterr()) == ([], ("", ""))


def test_a_repeat_is_logged_with_the_time_of_writing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that no line is older than the one above it."""
    monkeypatch.setattr(log_handlers, "MINUTE", 1.0)
    configure_logs("info", "json")
    log = get_logger("app.somewhere")
    log.warning("lost")
    log.warning("lost")
    log.info("found")
    lines: list[dict[str, object]] = []

    def read() -> int:
        lines.extend(map(json.loads, capsys.readouterr().err.splitlines()))
        return len(lines)

    wait_until(lambda: read() == 3)
    assert [line["event"] for line in lines] == ["lost", "found", "lost"]
    assert lines[2]["repeated"] == 1
    times = [str(line["timestamp"]) for line in lines]
    assert times == sorted(times)
