"""An operator is told of trouble, where he listens, once; and of its end."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from app.database.tables import events
from app.drip_to_segment.destination import SegmentDestination
from app.monitoring import alerts as module
from app.monitoring.alert_store import AlertStore
from app.monitoring.alerts import Watch
from app.monitoring.stats import Stats, take_stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched
from app.outbox.store import Store
from tests.support.builders import message
from tests.support.clock import Clock
from tests.support.logged import Logged

SECRET = "/services/T0/B0/canary"
SEGMENT = SegmentDestination("https://api.segment.io", None, {})


class Chat(ThreadingHTTPServer):
    """Takes alerts, or does not."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.refused: str | None = None
        """A word of those that it will not take."""
        self.seconds_a_byte = 0.0
        self.texts: list[str] = []
        self.authorizations: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == SECRET
        assert body.keys() == {"text"}
        self.server.texts.append(body["text"])
        self.server.authorizations.append(self.headers["Authorization"])
        if self.server.seconds_a_byte:
            with suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nA: " + b"b" * 200:
                    self.wfile.write(bytes([byte]))
                    time.sleep(self.server.seconds_a_byte)
            return
        is_refused = self.server.refused and self.server.refused in body["text"]
        self.send_response(500 if is_refused else self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.texts.append("followed")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        threading.Thread(target=chat.serve_forever, daemon=True).start()
        yield chat
        chat.shutdown()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1_800_000_000.0)
    monkeypatch.setattr(module, "time", clock)
    return clock


def watch_over(
    engine: Engine,
    clock: Clock,
    url: str | None,
    silence: float | None = None,
    is_kept: Callable[[], bool] = lambda: True,
) -> Watch:
    def look() -> Stats:
        return take_stats(engine, "segment", clock.now, lambda _: "key")

    watched = Watched(SEGMENT, look, is_kept)
    return Watch(AlertStore(engine), [watched], silence, url)


def keep(engine: Engine, clock: Clock, message_id: str = "drip-1") -> None:
    Store(engine, "segment").put([message(message_id, received_at=clock.now)])


def settle(engine: Engine, clock: Clock, state: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(events).values(state=state, settled_at=clock.now))


def test_an_event_that_waits_is_reported_once_and_its_end_once(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    clock.now += 290
    watch.look()
    assert chat.texts == []
    for _ in range(3):
        clock.now += 30
        watch.look()
    (text,) = chat.texts
    assert text.startswith("Drip-Segment bridge: The oldest event has waited for 5 minutes: see ")
    assert text.endswith("and what the log says of Segment.")
    settle(engine, clock, "sent")
    for _ in range(3):
        clock.now += 30
        watch.look()
    assert len(chat.texts) == 2
    assert chat.texts[1].startswith("Drip-Segment bridge, over after 2 min: The oldest event")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("dead", "In the last hour 1 event died"),
        ("quarantined", "In the last hour 1 webhook could not be read"),
    ],
)
def test_deaths_and_quarantine_are_reported_for_an_hour(
    engine: Engine, chat: Chat, clock: Clock, state: str, words: str
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, state)
    watch.look()
    assert [words in text for text in chat.texts] == [True]
    clock.now += 3601
    watch.look()
    assert "over after 60 min" in chat.texts[1]


def test_a_refused_key_is_reported_until_it_is_good(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    watch, store = watch_over(engine, clock, chat.url), Store(engine, "segment")
    for _ in range(5):  # the key is tried, and paused anew, each minute
        store.pause_account("4417", clock.now + 60, "HTTP 401: check SEGMENT_WRITE_KEY")
        watch.look()
        clock.now += 60
        watch.look()
    assert len(chat.texts) == 1
    assert "check SEGMENT_WRITE_KEY" in chat.texts[0]
    assert "4417" not in chat.texts[0]
    store.resume_accounts("4417")
    watch.look()
    assert len(chat.texts) == 2


def test_silence_is_reported_if_somebody_minds(engine: Engine, chat: Chat, clock: Clock) -> None:
    watch, heedless = (watch_over(engine, clock, chat.url, silence) for silence in (7200, None))
    watch.look()
    keep(engine, clock)
    settle(engine, clock, "sent")
    clock.now += 7300
    heedless.look()
    assert chat.texts == []
    watch.look()
    assert "No event came for 2 hours" in chat.texts[0]
    with engine.begin() as connection:
        connection.execute(events.delete())  # pruned: that is no event that came
    watch.look()
    assert len(chat.texts) == 1
    keep(engine, clock, "drip-2")
    watch.look()
    assert "over after" in chat.texts[1]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_alert_that_was_not_taken_is_repeated_in_a_minute(
    engine: Engine, chat: Chat, clock: Clock, status: int, logged: Logged
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, "dead")
    chat.status = status
    for _ in range(3):
        watch.look()
        clock.now += 25
    assert len(chat.texts) == 1
    chat.status = 200
    watch.look()
    watch.look()
    assert len(chat.texts) == 2
    assert f"HTTP {status}: check ALERT_WEBHOOK_URL" in logged.text
    assert "canary" not in logged.text
    assert logged.text.count("1 event died") == 1  # with the first look, and not again


def test_a_slow_receiver_holds_up_neither_log_nor_delivery(
    engine: Engine, chat: Chat, clock: Clock, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE_EXCHANGE", 0.3)
    chat.seconds_a_byte = 0.05
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, "dead")
    began = time.monotonic()
    watch.look()
    Store(engine, "segment").pause_account(
        "4417", clock.now + 60, "HTTP 401: check SEGMENT_WRITE_KEY"
    )
    watch.look()
    assert time.monotonic() - began < 5
    assert "1 event died" in logged.text
    assert "check SEGMENT_WRITE_KEY" in logged.text
    assert "no answer (" in logged.text

    chat.seconds_a_byte = 0
    clock.now += module.CLAIM
    watch.look()
    assert len(set(chat.texts)) == 2


def test_one_that_is_not_taken_does_not_hold_up_another(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    chat.refused = "died"
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, "dead")
    Store(engine, "segment").pause_account(
        "4417", clock.now + 60, "HTTP 401: check SEGMENT_WRITE_KEY"
    )
    watch.look()
    assert ["died" in text for text in chat.texts] == [True, False]
    watch.look()
    assert len(chat.texts) == 2


def test_a_password_of_netrc_is_not_sent_to_the_receiver(
    engine: Engine, chat: Chat, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    keep(engine, clock)
    settle(engine, clock, "dead")
    watch_over(engine, clock, chat.url).look()
    assert chat.authorizations == [None]


def test_alerts_without_a_url_are_logged(engine: Engine, clock: Clock, logged: Logged) -> None:
    watch = watch_over(engine, clock, None)
    keep(engine, clock)
    settle(engine, clock, "dead")
    watch.look()
    watch.look()
    assert logged.text.count("1 event died") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/canary", "http://canary.invalid/canary"])
def test_the_url_is_in_no_line(engine: Engine, clock: Clock, logged: Logged, url: str) -> None:
    keep(engine, clock)
    settle(engine, clock, "dead")
    watch_over(engine, clock, url).look()
    assert "no answer (ConnectionError): " in logged.text
    assert "check ALERT_WEBHOOK_URL" in logged.text
    assert "canary" not in logged.text


def over(text: str) -> str:
    return text.replace("bridge: ", "bridge, over after 1 min: ", 1)


def test_a_webhook_not_kept_is_reported_without_a_database(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    kept = [False]
    watch = watch_over(engine, clock, chat.url, is_kept=lambda: kept[0])
    forbid_writing(engine)
    for _ in range(3):
        watch.look()
    (text,) = chat.texts
    assert text.startswith("Drip-Segment bridge: Webhooks cannot be kept")
    kept[0] = True
    clock.now += 60
    for _ in range(3):
        watch.look()
    assert chat.texts == [text, over(text)]


def test_what_cannot_be_written_down_is_reported_as_that(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    clock.now += 301
    allow = forbid_writing(engine)
    for _ in range(3):
        watch.look()
    (text,) = chat.texts
    assert text.startswith("Drip-Segment bridge: The database cannot be written")
    allow()
    clock.now += 60
    watch.look()
    assert [line.partition(":")[0] for line in chat.texts[1:]] == [
        "Drip-Segment bridge",
        "Drip-Segment bridge, over after 1 min",
    ]
    assert "The oldest event" in chat.texts[1]


def test_a_database_that_cannot_be_read_is_reported(engine: Engine, chat: Chat) -> None:
    def look() -> Stats:
        raise StatsUnavailable("The database cannot be read: see whether it runs.")

    watched = Watched(SEGMENT, look, lambda: True)
    watch = Watch(AlertStore(engine), [watched], None, chat.url)
    for _ in range(2):
        watch.look()
    assert chat.texts == ["Drip-Segment bridge: The database cannot be read: see whether it runs."]


def forbid_writing(engine: Engine) -> Callable[[], None]:
    """From now on, until what it returns is called."""
    triggers = ("INSERT", "UPDATE", "DELETE")
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for what in triggers:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER no_{what} BEFORE {what} ON alerts"
                    " BEGIN SELECT raise(ABORT, 'no'); END"
                )
        else:
            connection.exec_driver_sql("ALTER TABLE alerts RENAME TO kept")
            connection.exec_driver_sql("CREATE VIEW alerts AS SELECT DISTINCT * FROM kept")

    def allow() -> None:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                for what in triggers:
                    connection.exec_driver_sql(f"DROP TRIGGER no_{what}")
            else:
                connection.exec_driver_sql("DROP VIEW alerts")
                connection.exec_driver_sql("ALTER TABLE kept RENAME TO alerts")

    return allow
