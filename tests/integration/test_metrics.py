"""What the processes count, that it outlives them, and that rules and dashboard ask for it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.bridge import bridge_of
from app.delivery.report import Fault
from app.delivery.worker import DeliveryWorker
from app.destination import RateLimited, SendError
from app.drip_to_segment.mapping import COLLECTIONS
from app.monitoring import metrics
from app.monitoring.metrics import RESULTS
from tests.support.bridge_process import ROOT
from tests.support.builders import PretendDestination
from tests.support.figures import figure, to_figures
from tests.support.flask_app import post
from tests.support.samples import OPENED

SAMPLES = sorted((ROOT / "samples").glob("*.json"))


def families(client: FlaskClient) -> list[Metric]:
    return list(text_string_to_metric_families(client.get("/metrics").text))


@pytest.fixture
def grown(client: FlaskClient) -> Callable[..., float]:
    """How much a counter has grown since the test began: the process goes on from test to test."""
    before = to_figures(client.get("/metrics").text)

    def since(name: str, **labels: str) -> float:
        now = to_figures(client.get("/metrics").text)
        return figure(now, name, **labels) - figure(before, name, **labels)

    return since


def test_webhooks_are_counted_by_outcome_and_collection(
    client: FlaskClient, grown: Callable[..., float]
) -> None:
    for sample in SAMPLES:
        post(client, sample.read_bytes())
    post(client, OPENED)
    post(client, OPENED.replace(b"subscriber.opened_email", b"subscriber.created"))
    post(client, b"{broken")
    post(client, OPENED, "a-wrong-token")
    for collection in set(COLLECTIONS.values()):
        kept = [e for e, c in COLLECTIONS.items() if c == collection]
        labels = {"outcome": "accepted", "collection": collection}
        assert grown("webhooks_total", **labels) == len(kept)
    assert grown("webhooks_total", outcome="duplicate", collection="Email Opened") == 1
    for outcome in ("ignored", "quarantined", "refused"):
        assert grown("webhooks_total", outcome=outcome, collection="") == 1
    # of what was kept alone: strangers are answered sooner
    assert grown("accept_duration_seconds_count") == len(SAMPLES) + 2


def test_what_cannot_be_kept_is_counted(
    app: Flask, client: FlaskClient, grown: Callable[..., float], tmp_path: Path
) -> None:
    bridge_of(app).close()
    (tmp_path / "bridge.db").write_bytes(b"no database" * 100)
    post(client, OPENED)
    assert grown("webhooks_total", outcome="not_kept", collection="") == 1
    assert grown("accept_duration_seconds_count") == 0


def test_a_stranger_makes_no_label_of_its_own(client: FlaskClient) -> None:
    def series() -> set[Any]:
        return set(to_figures(client.get("/metrics").text))

    post(client, OPENED, "a-wrong-token")
    before = series()
    for number in range(20):
        post(client, OPENED, f"wrong-{number}")
        client.get(f"/webhooks/{number}")
        client.open("/webhooks/drip", method=f"M{number}")
    assert series() == before


class Answering(PretendDestination):
    """Answers each batch with the next of these."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = iter(errors)

    def send(self, *_: object) -> str:
        if error := next(self._errors):
            raise error
        return ""


def made(kind: type[SendError]) -> SendError:
    return RateLimited("HTTP 999", 1.0) if kind is RateLimited else kind("HTTP 999")


def all_errors(kind: type[SendError]) -> Iterator[type[SendError]]:
    for error in kind.__subclasses__():
        yield error
        yield from all_errors(error)


def test_batches_are_counted_by_what_the_answer_meant(
    app: Flask, client: FlaskClient, grown: Callable[..., float]
) -> None:
    kinds = [kind for kind in all_errors(SendError) if kind is not Fault]
    assert {kind.__name__ for kind in kinds} | {"Sent", "Fault"} == set(RESULTS)
    store = bridge_of(app).drip_to_segment.store
    # each time earlier: what an error before has left is not due
    moments = count(time.time() + 1e6, -1e4)
    for error in (None, ValueError("fault"), *(made(kind) for kind in kinds)):
        accepted = OPENED.replace(b'"d1"', f'"{error!r}"'.encode())
        post(client, accepted)
        DeliveryWorker(store, Answering(error), clock=partial(float, next(moments))).deliver_due()
    assert {result: grown("batches_total", result=result) for result in RESULTS.values()} == (
        dict.fromkeys(RESULTS.values(), 1.0)
    )


def test_a_count_that_fails_costs_nothing_else(grown: Callable[..., float]) -> None:
    metrics.count_settled("segment", "sent", -1)  # which is no count
    metrics.count_settled("segment", "sent", 2)
    assert grown("events_settled_total", outcome="sent") == 2


def test_names_and_help_keep_to_the_conventions(client: FlaskClient) -> None:
    post(client, OPENED)
    found = families(client)
    assert len(found) > 10
    for family in found:
        assert family.name.startswith("bridge_")
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        if "_seconds" in family.name or "_bytes" in family.name:
            assert family.name.endswith(("_seconds", "_bytes"))
