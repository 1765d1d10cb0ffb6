"""A bridge with two directions: each has its messages, and both are looked after."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, select, update

from app.bridge import OF_THE_REST, bridge_of
from app.config.settings import Settings
from app.database.tables import alerts, deliverers, events
from app.direction import Direction
from app.monitoring import watched
from app.monitoring.watched import find_all, unkept_in_all
from app.outbox.answers import Answers
from app.outbox.messages import Attempt
from app.outbox.store import Store
from tests.support.builders import NOW, claim, mark_dead, message, rows
from tests.support.delivery import tracked
from tests.support.fake_segment import FakeSegment
from tests.support.flask_app import app_over, run
from tests.support.samples import OPENED
from tests.support.two_directions import PretendDrip, call_to_drip, second_of, two_directions
from tests.support.waiting import wait_until

DAY = 86_400.0


@pytest.fixture
def app(settings: Settings, engine: Engine, segment: FakeSegment) -> Iterator[Flask]:
    """Over each engine in turn."""
    changed = replace(settings, database_url=engine.url, segment_host=segment.url)
    with two_directions(changed) as app:
        yield app


@pytest.fixture
def second(app: Flask) -> Direction:
    return second_of(app)


@pytest.fixture
def store(app: Flask) -> Store:
    """Of the first direction."""
    return bridge_of(app).drip_to_segment.store


def test_both_share_the_connections(app: Flask, second: Direction) -> None:
    bridge = bridge_of(app)
    assert bridge.directions == (bridge.drip_to_segment, second)
    assert {direction.store.engine for direction in bridge.directions} == {bridge.engine}
    if bridge.engine.dialect.name == "postgresql":
        assert bridge.engine.pool.size() == OF_THE_REST  # type: ignore[attr-defined]


def test_deliver_once_sends_what_is_due_in_both(
    app: Flask, store: Store, second: Direction, segment: FakeSegment
) -> None:
    store.put([tracked("a"), tracked("b")])
    second.store.put([call_to_drip("c")])
    result = run(app, "deliver", "--once")
    assert (result.exit_code, result.stdout) == (0, "3 sent\n")
    assert sorted(segment.message_ids()) == ["a", "b"]
    assert isinstance(second.destination, PretendDrip)
    assert len(second.destination.sent) == 1


def test_both_are_sent_until_stopped(
    app: Flask, store: Store, second: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what runs beside it ends with the process only: it would report in other tests' databases
    monkeypatch.setattr("app.bridge.every", lambda *_: None)
    bridge = bridge_of(app)
    running = bridge.start_delivery()
    store.put([tracked("a")])
    second.store.put([call_to_drip("b")])
    wait_until(
        lambda: {row.state for row in [*rows(store).values()]} == {"sent"},
        report=lambda: str(threading.enumerate()),
    )
    bridge.stop_delivery()
    for thread in running:
        thread.join(10)
    assert [thread.is_alive() for thread in running] == [False, False]


def test_what_a_wrong_clock_put_off_is_due_again_in_both(
    app: Flask, store: Store, second: Direction
) -> None:
    ahead = NOW + 40 * DAY
    store.put([message("a", received_at=ahead)])
    second.store.put([call_to_drip("b", received_at=ahead)])
    bridge_of(app).tidy(NOW, 0.0)
    assert store.due_accounts(NOW) == second.store.due_accounts(NOW) == ["4417"]


# checks, alerts, figures


def put_old(direction: Direction, name: str, minutes: float, **changes: Any) -> None:
    direction.store.put([message(name, received_at=time.time() - minutes * 60, **changes)])


@pytest.fixture
def _a_deliverer_runs(engine: Engine) -> None:
    """For an hour."""
    now = time.time()
    row = {"id": "one", "version": "1", "started_at": now - 3600, "seen_at": now}
    with engine.begin() as connection:
        connection.execute(deliverers.insert(), row)


def reasons(app: Flask) -> list[str]:
    answer = app.test_client().get("/readyz")
    assert answer.json is not None
    found: list[str] = answer.json.get("reasons", [])
    return found


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_each_reason_names_its_direction(app: Flask, second: Direction) -> None:
    assert reasons(app) == []
    put_old(bridge_of(app).drip_to_segment, "a", 7)
    put_old(second, "b", 9)
    put_old(second, "held", 9, account="keyless")
    now = time.time()
    Answers(second.store.engine, "drip").note("token-of-4417", "refused", "HTTP 401", now, now, 1)
    # counts are kept for a moment
    wait_until(lambda: len(reasons(app)) == 3, report=lambda: str(reasons(app)))
    assert [reason.partition(".")[0] for reason in reasons(app)] == [
        "Drip → Segment: Nothing goes to Segment",
        "Segment → Drip: Drip refuses a key (HTTP 401)",
        "Segment → Drip: No token is set for 1 Drip account",
    ]
    assert "DRIP_API_TOKENS" in reasons(app)[2]


def test_sentences_are_true_of_their_direction(app: Flask, second: Direction) -> None:
    second.store.put([message("dead"), message("raw", payload=None)])
    mark_dead(second.store, claim(second.store), Attempt(time.time(), "HTTP 422"))
    with second.store.engine.begin() as connection:
        connection.execute(update(events).values(settled_at=time.time()))
    found = find_all(bridge_of(app).watched, time.time())
    assert found.is_flowing
    assert {problem.name: problem.title for problem in found.problems} == {
        "drip: failed": "Segment → Drip: 1 event failed: HTTP 422",
        "drip: rejected": "Segment → Drip: 1 webhook from Segment could not be read",
    }
    (unkept,) = unkept_in_all([*bridge_of(app).watched[:1], replace(second.watched, is_kept=bool)])
    assert (unkept.name, unkept.facts) == (
        "drip: unkept",
        "Each is answered 503. Segment sends them again for 4 hours.",
    )


def test_that_no_deliverer_runs_is_one_problem_of_both(
    app: Flask, second: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "STARTING", 0.0)
    put_old(bridge_of(app).drip_to_segment, "a", 0)
    put_old(second, "b", 0)
    (problem,) = find_all(bridge_of(app).watched, time.time()).problems
    assert (problem.name, problem.count) == ("deliverer", 2)
    assert problem.title == "No deliverer runs, so nothing is sent"


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_alerts_of_the_second_direction_have_names_of_their_own(
    app: Flask, second: Direction
) -> None:
    put_old(bridge_of(app).drip_to_segment, "a", 7)
    put_old(second, "b", 9)
    bridge_of(app).watch.look()
    with bridge_of(app).engine.connect() as connection:
        names = connection.scalars(select(alerts.c.name).order_by(alerts.c.name)).all()
    assert names == ["drip: waiting", "waiting"]


def test_figures_of_both_are_in_the_same_families(app: Flask, second: Direction) -> None:
    bridge_of(app).drip_to_segment.store.put([message("a")])
    second.store.put([message("b"), message("c")])
    text = app.test_client().get("/metrics").text
    families = [family.name for family in text_string_to_metric_families(text)]
    assert len(families) == len(set(families))
    assert 'bridge_events{destination="segment",state="pending"} 1.0' in text
    assert 'bridge_events{destination="drip",state="pending"} 2.0' in text
    assert 'bridge_last_webhook_timestamp_seconds{destination="drip"} 1e+06' in text
    assert 'bridge_batches_total{destination="drip",result="sent"}' in text
    assert text.count("\nbridge_database_size_bytes ") == 1


# commands


def ids(app: Flask, *arguments: str) -> list[str]:
    result = run(app, "events", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["message_id"] for line in result.stdout.splitlines()]


def put_one_of_each(store: Store, second: Direction) -> None:
    """In each direction one that is dead, one in quarantine and one that waits for a key."""
    for each, destination in ((store, "segment"), (second.store, "drip")):
        each.put([message(f"{destination}-dead", payload="{}", received_at=time.time())])
        mark_dead(each, claim(each, now=time.time()), Attempt(time.time(), "HTTP 422"))
        errors = {"body": ["Not JSON."]}
        each.put([message(f"{destination}-raw", payload=None, raw=OPENED, errors=errors)])
    second.store.put([call_to_drip("keyless", account="keyless")])


def test_events_of_both_or_of_one_are_listed(app: Flask, store: Store, second: Direction) -> None:
    put_one_of_each(store, second)
    to_segment = ["segment-raw", "segment-dead"]
    to_drip = ["keyless", "drip-raw", "drip-dead"]
    assert ids(app) == [*to_drip, *to_segment]
    assert ids(app, "--destination", "segment") == to_segment
    assert ids(app, "--destination", "drip") == to_drip
    assert ids(app, "--state", "held") == ["keyless"]
    assert ids(app, "--state", "held", "--destination", "segment") == []
    assert ids(app, "--state", "dead") == ["drip-dead", "segment-dead"]
    assert ids(app, "--collection", "Track") == ["keyless"]
    assert run(app, "events", "--collection", "lost").exit_code == 2
    wrong = ("events", "--collection", "track", "--destination", "segment")
    assert "There is no such collection." in run(app, *wrong).stderr
    assert f"  drip     held                track                 {'u-9':30}  " in (
        run(app, "events").stdout
    )


def test_an_event_is_shown_with_its_directions_words(
    app: Flask, store: Store, second: Direction
) -> None:
    store.put([message("twin", raw=b"1")])
    second.store.put([call_to_drip("twin", raw=b"2")])
    for arguments, source, destination, raw in (
        (["--destination", "segment"], "Drip", "Segment", "1"),
        (["--destination", "drip"], "Segment", "Drip", "2"),
        ([], "Drip", "Segment", "1"),
    ):
        page = run(app, "events", "twin", *arguments).stdout
        assert f"\nto          {destination}\n" in page
        assert f"What {source} sent (1 bytes):\n\n{raw}\n\nWhat {destination} gets:" in page


def test_the_dead_of_both_or_of_one_are_retried(
    app: Flask, store: Store, second: Direction
) -> None:
    put_one_of_each(store, second)
    asked = run(app, "retry", "--state", "dead", stdin="n\n").stdout
    assert "To retry: 2 events." in asked
    assert "To Drip: 1 event. Drip never drops repeats: one that it took after all will" in asked
    assert "Segment drops" not in asked
    done = run(app, "retry", "--state", "dead", "--destination", "segment", "--yes")
    assert done.stdout == "To retry: 1 event.\n1 event: due now.\n"
    assert ids(app, "--state", "dead") == ["drip-dead"]
    done = run(app, "retry", "--state", "dead", "--yes")
    assert done.stdout.endswith("1 event: due now.\n")
    assert run(app, "retry", "--state", "dead").stdout == "Nothing to retry.\n"


def test_the_quarantined_of_both_are_read_by_their_own_rules(
    app: Flask, store: Store, second: Direction
) -> None:
    put_one_of_each(store, second)
    done = run(app, "retry", "--state", "quarantined", "--yes")
    assert "2 events: due now." in done.stdout
    (to_segment,) = ids(app, "--destination", "segment", "--state", "pending")
    (to_drip,) = ids(app, "--destination", "drip", "--state", "pending")
    assert to_segment.startswith("drip-")
    assert to_drip.startswith("again-")


def test_an_id_is_retried_in_the_direction_that_has_it(
    app: Flask, store: Store, second: Direction
) -> None:
    put_one_of_each(store, second)
    fresh = run(app, "retry", "segment-dead")
    assert fresh.stdout == "To retry: 1 event.\n1 event: due now.\n"
    asked = run(app, "retry", "drip-dead", "nobodys", stdin="y\n")
    assert asked.exit_code == 1
    assert "nobodys: no event has this id.\nTo retry: 1 event.\nTo Drip: 1 event. Drip never" in (
        asked.stdout
    )
    assert asked.stdout.endswith("1 event: due now.\n")
    assert ids(app, "--state", "dead") == []


def test_the_status_is_that_of_both(app: Flask, store: Store, second: Direction) -> None:
    put_one_of_each(store, second)
    lines = run(app, "status").stdout.splitlines()
    assert {"Drip → Segment", "Segment → Drip"} <= {*lines}
    assert any(line.startswith("  Waiting         1 held") for line in lines)
    assert any(line.startswith("! Segment → Drip: 1 event failed: HTTP 422") for line in lines)


def test_a_direction_that_is_off_is_reported(settings: Settings) -> None:
    with app_over(settings) as app:
        for command in (["events"], ["retry", "--state", "dead"]):
            result = run(app, *command, "--destination", "drip")
            assert result.exit_code == 2
            assert "This bridge sends nothing to drip." in result.stderr


def test_a_person_is_erased_in_both(app: Flask, store: Store, second: Direction) -> None:
    store.put([message("a", email="ana@example.com")])
    second.store.put([call_to_drip("b", {"who": [["email", "ana@example.com"]]})])
    done = run(app, "erase", "ana@example.com", "--yes")
    assert done.stdout.endswith("Erased: 2 (2 pending).\n")
