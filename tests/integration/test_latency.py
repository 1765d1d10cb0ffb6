"""How long messages took until they were delivered."""

import pytest
from sqlalchemy import Engine

from app.outbox import latency
from app.outbox.latency import read_latency
from app.outbox.store import Store
from tests.support.builders import NOW, claim, mark_sent, message


def deliver(store: Store, *took: float) -> None:
    """Messages that were delivered so many seconds after their receipt, one a second."""
    for place, seconds in enumerate(took):
        at = NOW + place
        name = f"{at}-{seconds}"
        store.put([message(name, received_at=at - seconds, raw=name.encode())])
        mark_sent(store, claim(store, now=at), at)


def test_there_is_none_if_nothing_was_delivered(store: Store, engine: Engine) -> None:
    store.put([message("a")])
    assert read_latency(engine, "segment", 0) is None


def test_it_is_the_median_and_what_19_of_20_stay_below(store: Store, engine: Engine) -> None:
    deliver(store, *range(1, 22))
    found = read_latency(engine, "segment", 0)
    assert found
    assert (found.median, found.p95, found.count) == (11, 20, 21)


def test_only_what_was_delivered_since_then_counts(store: Store, engine: Engine) -> None:
    deliver(store, 5, 1)
    found = read_latency(engine, "segment", NOW + 0.5)
    assert found
    assert (found.median, found.count) == (1, 1)


def test_each_destination_has_its_own(store: Store, engine: Engine) -> None:
    deliver(store, 5)
    deliver(Store(engine, "drip"), 1)
    assert [read_latency(engine, name, 0) for name in ("segment", "drip")] == [
        latency.Latency(5, 5, 1),
        latency.Latency(1, 1, 1),
    ]


def test_the_latest_ones_of_all_destinations_are_looked_at(
    store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "MOST", 2)
    deliver(Store(engine, "drip"), 1)
    deliver(store, 5, 6, 7)
    found = read_latency(engine, "segment", 0)
    assert found
    assert found.count == 2
    assert read_latency(engine, "drip", 0) is None


def test_a_clock_that_was_set_back_makes_no_negative_time(store: Store, engine: Engine) -> None:
    store.put([message("a", received_at=NOW + 60)])
    store.bring_forward(["4417"], NOW, 1)
    mark_sent(store, claim(store, now=NOW + 60), NOW)
    found = read_latency(engine, "segment", 0)
    assert found
    assert found.median == 0
