"""An operator gets an alert when trouble begins, grows and lasts, and when it is over."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from app.database.tables import deliverers, events
from app.drip_to_segment.destination import SegmentDestination
from app.logs import configure_logs
from app.monitoring import alerts as module
from app.monitoring.alert_store import REMINDER
from app.monitoring.alerts import Watch
from app.monitoring.deliverers import ALIVE
from app.monitoring.problems import PASSING
from app.monitoring.stats import Stats, take_stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched
from app.outbox.answers import Answers, Kind
from app.outbox.messages import Attempt
from app.outbox.store import Store
from tests.support.builders import ACCOUNT, claim, mark_dead, mark_sent, message
from tests.support.chat import Chat
from tests.support.clock import Clock
from tests.support.logged import Logged

SEGMENT = SegmentDestination("https://api.segment.io", None, {})


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        threading.Thread(target=chat.serve_forever, args=(0.01,), daemon=True).start()
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
    key_for: Callable[[str], str | None] = lambda _: "key",
    is_sending: Callable[[], bool] = lambda: True,
    public_url: str | None = None,
) -> Watch:
    def look() -> Stats:
        if is_sending():
            with engine.begin() as connection:
                connection.execute(deliverers.update().values(seen_at=clock.now))
        return take_stats(engine, "segment", clock.now, key_for)

    watched = Watched(SEGMENT, look, is_kept, started_at=0.0)
    return Watch(engine, [watched], silence, url, public_url)


@pytest.fixture(autouse=True)
def _a_deliverer_runs(engine: Engine, clock: Clock) -> None:
    deliverer_starts(engine, clock)


def deliverer_starts(engine: Engine, clock: Clock) -> None:
    """In place of the one before."""
    row = {"id": "one", "version": "1", "started_at": clock.now, "seen_at": clock.now}
    with engine.begin() as connection:
        connection.execute(deliverers.delete())
        connection.execute(deliverers.insert(), row)


def keep(engine: Engine, clock: Clock, message_id: str = "drip-1", account: str = ACCOUNT) -> None:
    Store(engine, "segment").put([message(message_id, account=account, received_at=clock.now)])


def settle(engine: Engine, clock: Clock, state: str, message_id: str | None = None) -> None:
    ended = update(events).values(state=state, settled_at=clock.now, reason="HTTP 400")
    if message_id:
        ended = ended.where(events.c.message_id == message_id)
    with engine.begin() as connection:
        connection.execute(ended)


def answered(engine: Engine, clock: Clock, kind: Kind, reason: str = "HTTP 500") -> None:
    Answers(engine, "segment").note("key", kind, reason, clock.now, clock.now + 60, 1)


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
    assert text.startswith("🔴 Nothing goes to Segment — The oldest event that could be sent has ")
    assert text.endswith("See the log of the deliverer. (Drip-Segment bridge)")
    settle(engine, clock, "sent")
    for _ in range(3):
        clock.now += 30
        watch.look()
    assert chat.texts[1:] == [
        "✅ Delivery to Segment has caught up — after 6 min. (Drip-Segment bridge)"
    ]


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("dead", "🟡 1 event failed: HTTP 400 — "),
        ("quarantined", "🟡 1 webhook from Drip could not be read — "),
    ],
)
def test_what_failed_is_reported_until_it_is_retried_or_dismissed(
    engine: Engine, chat: Chat, clock: Clock, state: str, title: str
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, state)
    for _ in range(20):
        watch.look()
        clock.now += 3600  # an hour is no end
    assert [text.startswith(title) for text in chat.texts] == [True]
    with engine.begin() as connection:
        connection.execute(update(events).values(dismissed_at=clock.now))
    watch.look()
    assert "retried, dismissed, or deleted by age — after 20 h" in chat.texts[1]


def test_an_outage_is_reported_with_growth_a_daily_reminder_and_what_went(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    store = Store(engine, "segment")
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    answered(engine, clock, "failing")
    for count in (1, 9, 10):
        store.put([message(f"drip-{n}", received_at=clock.now) for n in range(1, count + 1)])
        clock.now += PASSING
        watch.look()
    clock.now += REMINDER - 1
    watch.look()
    assert len(chat.texts) == 2
    clock.now += 1
    watch.look()
    begun, grown, lasting = chat.texts
    assert begun.startswith(
        "🔴 Segment is not accepting events (HTTP 500) — 1 event waiting since "
    )
    assert grown.startswith("Grew: 🔴 Segment is not accepting events (HTTP 500) — 10 events ")
    assert lasting.startswith("Still: 🔴 Segment is not accepting events (HTTP 500) — 10 events ")
    assert "none lost" in begun

    answered(engine, clock, "taken")
    lease = claim(store, now=clock.now)
    mark_sent(store, lease.only(lease.messages[1:]), clock.now)
    mark_dead(store, lease.only(lease.messages[:1]), Attempt(clock.now, "HTTP 400"))
    watch.look()
    assert (
        "✅ Segment accepts events again — after 24 h, 9 events delivered since, 1 failed. "
        "(Drip-Segment bridge)"
    ) in chat.texts[3:]


def test_a_refused_key_is_reported_with_its_account_until_it_is_taken(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    for _ in range(5):  # the key is tried each minute
        answered(engine, clock, "refused", "HTTP 401: check SEGMENT_WRITE_KEY")
        watch.look()
        clock.now += 60
        watch.look()
    (text,) = chat.texts
    assert text.startswith("🔴 Segment refuses a key (HTTP 401) — 1 event waiting since ")
    assert "Accounts: 4417. Check SEGMENT_WRITE_KEY." in text
    answered(engine, clock, "taken")
    watch.look()
    assert chat.texts[1].startswith("✅ Segment takes the key again — after 5 min, ")


def test_setting_the_missing_key_is_followed_by_no_false_alarm(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    before = watch_over(engine, clock, chat.url, key_for=lambda _: None)
    keep(engine, clock)
    clock.now += 1080
    before.look()
    after = watch_over(engine, clock, chat.url)  # restarted, with the key
    deliverer_starts(engine, clock)
    for _ in range(6):
        after.look()
        clock.now += 40
    assert [text[:1] for text in chat.texts] == ["🔴", "✅"]
    assert chat.texts[1].startswith("✅ No event is held any more for want of a write key — after ")


@pytest.mark.parametrize(
    ("public_url", "end"),
    [
        ("https://bridge.example.com", "failed. https://bridge.example.com/issues?to=segment"),
        (None, "retry or dismiss them."),
    ],
)
def test_an_alert_has_a_link_if_the_address_is_known(
    engine: Engine, chat: Chat, clock: Clock, public_url: str | None, end: str
) -> None:
    keep(engine, clock)
    settle(engine, clock, "dead")
    watch_over(engine, clock, chat.url, public_url=public_url).look()
    (text,) = chat.texts
    assert text.removesuffix(" (Drip-Segment bridge)").endswith(end.removeprefix("failed. "))


def test_a_deliverer_that_is_gone_is_reported_and_back_again(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    watch = watch_over(engine, clock, chat.url, is_sending=lambda: False)
    keep(engine, clock)
    clock.now += ALIVE - 1
    watch.look()
    assert chat.texts == []
    clock.now += 1
    for _ in range(2):
        watch.look()
    (text,) = chat.texts
    assert text.startswith("🔴 No deliverer runs, so nothing is sent — Last seen: at 08:00 UTC. ")
    clock.now += 12
    deliverer_starts(engine, clock)
    watch.look()
    assert chat.texts[1] == (
        "✅ A deliverer runs again — after 42 s, 0 events delivered since, 0 failed. "
        "(Drip-Segment bridge)"
    )


def test_four_alerts_at_once_are_four_lines(
    engine: Engine, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """Repeats of a line are folded: these are none, though all are alerts."""
    configure_logs("info", "logfmt")
    keys = {"4417": "key", "5150": None, "6021": "another"}
    for account in keys:
        for n in range(3):
            keep(engine, clock, f"drip-{account}-{n}", account=account)
    settle(engine, clock, "dead", "drip-4417-0")
    settle(engine, clock, "quarantined", "drip-4417-1")
    answered(engine, clock, "refused")
    clock.now += 301
    watch = watch_over(engine, clock, None, key_for=keys.__getitem__)
    for _ in range(3):
        watch.look()
        clock.now += 10
    lines = [line for line in capfd.readouterr().err.splitlines() if "event=alert" in line]
    names = [re.search(r'alert="?([a-z]+)', line) for line in lines]
    assert sorted(name[1] for name in names if name) == [
        "failed",
        "held",
        "refused",
        "rejected",
        "waiting",
    ]


def test_silence_is_reported_if_somebody_minds(engine: Engine, chat: Chat, clock: Clock) -> None:
    watch, heedless = (watch_over(engine, clock, chat.url, silence) for silence in (7200, None))
    watch.look()
    keep(engine, clock)
    settle(engine, clock, "sent")
    clock.now += 7300
    heedless.look()
    assert chat.texts == []
    watch.look()
    assert chat.texts[0].startswith("🟡 No webhook from Drip for 2 hours — The last one came at ")
    with engine.begin() as connection:
        connection.execute(events.delete())  # pruned: that is no event that came
    watch.look()
    assert len(chat.texts) == 1
    keep(engine, clock, "drip-2")
    watch.look()
    assert chat.texts[1].startswith("✅ Webhooks from Drip come again — after ")


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
    assert logged.text.count("1 event failed") == 1  # with the first look, and not again


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
    keep(engine, clock, "drip-2")
    answered(engine, clock, "refused", "HTTP 401: check SEGMENT_WRITE_KEY")
    watch.look()
    assert time.monotonic() - began < 5
    assert "1 event failed" in logged.text
    assert "Check SEGMENT_WRITE_KEY" in logged.text
    assert "no answer (" in logged.text

    chat.seconds_a_byte = 0
    clock.now += module.CLAIM
    watch.look()
    assert len(set(chat.texts)) == 2


def test_one_that_is_not_taken_does_not_hold_up_another(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    chat.refused = "failed"
    watch = watch_over(engine, clock, chat.url)
    keep(engine, clock)
    settle(engine, clock, "dead")
    keep(engine, clock, "drip-2")
    answered(engine, clock, "refused", "HTTP 401: check SEGMENT_WRITE_KEY")
    watch.look()
    assert ["failed" in text for text in chat.texts] == [True, False]
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
    assert logged.text.count("1 event failed") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/canary", "http://canary.invalid/canary"])
def test_the_url_is_in_no_line(engine: Engine, clock: Clock, logged: Logged, url: str) -> None:
    keep(engine, clock)
    settle(engine, clock, "dead")
    watch_over(engine, clock, url).look()
    assert "no answer (ConnectionError): " in logged.text
    assert "check ALERT_WEBHOOK_URL" in logged.text
    assert "canary" not in logged.text


def test_a_webhook_not_kept_is_reported_without_a_database(
    engine: Engine, chat: Chat, clock: Clock
) -> None:
    kept = [False]
    watch = watch_over(engine, clock, chat.url, is_kept=lambda: kept[0])
    forbid_writing(engine)
    for _ in range(3):
        watch.look()
    (text,) = chat.texts
    assert text.startswith("🔴 Webhooks from Drip cannot be kept — Each is answered 429. ")
    kept[0] = True
    clock.now += 60
    for _ in range(3):
        watch.look()
    assert chat.texts[1:] == [
        "✅ Webhooks from Drip are kept again — after 1 min. (Drip-Segment bridge)"
    ]


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
    assert text.startswith("🔴 The database cannot be written — See its disk, ")
    allow()
    clock.now += 60
    watch.look()
    assert chat.texts[1].startswith("🔴 Nothing goes to Segment — ")
    assert chat.texts[2:] == [
        "✅ The database can be written again — after 1 min. (Drip-Segment bridge)"
    ]


def test_a_database_that_cannot_be_read_is_reported(engine: Engine, chat: Chat) -> None:
    def look() -> Stats:
        raise StatsUnavailable("The database cannot be read: see whether it runs.")

    watched = Watched(SEGMENT, look, lambda: True, started_at=0.0)
    watch = Watch(engine, [watched], None, chat.url)
    for _ in range(2):
        watch.look()
    assert chat.texts == [
        "🔴 The database cannot be read: see whether it runs (Drip-Segment bridge)"
    ]


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
