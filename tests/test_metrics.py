"""What the processes count, that it outlives them, and that rules and dashboard ask for it."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url

from app.bridge import bridge_of
from app.delivery.worker import DeliveryWorker
from app.destination import SendError
from app.drip_to_segment.mapping import COLLECTIONS
from app.monitoring import metrics
from app.monitoring.metrics import RESULTS
from tests.bridge_process import ROOT, BridgeProcess
from tests.conftest import TOKEN
from tests.fake_segment import FakeSegment
from tests.support.builders import PretendDestination

OPENED = (ROOT / "samples" / "opened_email.json").read_bytes()
SAMPLES = sorted((ROOT / "samples").glob("*.json"))

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families(client: FlaskClient) -> list[Metric]:
    return list(text_string_to_metric_families(client.get("/metrics").text))


def to_figures(text: str) -> Figures:
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {
        (sample.name, frozenset(sample.labels.items() - {("destination", "segment")})): sample.value
        for sample in samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    """0 where it is not there yet: then nothing was counted."""
    return figures.get((f"bridge_{name}", frozenset(labels.items())), 0.0)


@pytest.fixture
def grown(client: FlaskClient) -> Callable[..., float]:
    """How much a counter has grown since the test began: the process goes on from test to test."""
    before = to_figures(client.get("/metrics").text)

    def since(name: str, **labels: str) -> float:
        now = to_figures(client.get("/metrics").text)
        return figure(now, name, **labels) - figure(before, name, **labels)

    return since


def post(client: FlaskClient, body: bytes, token: str = TOKEN) -> None:
    client.post("/webhooks/drip", query_string={"token": token}, data=body)


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

    def send(self, *_: object) -> None:
        if error := next(self._errors):
            raise error


def all_errors(kind: type[SendError]) -> Iterator[type[SendError]]:
    for error in kind.__subclasses__():
        yield error
        yield from all_errors(error)


def test_batches_are_counted_by_what_the_answer_meant(
    app: Flask, client: FlaskClient, grown: Callable[..., float]
) -> None:
    kinds = list(all_errors(SendError))
    assert {kind.__name__ for kind in kinds} | {"Sent", "Fault"} == set(RESULTS)
    store = bridge_of(app).store
    # each time earlier: what an error before has left is not due
    moments = count(time.time() + 1e6, -1e4)
    for error in (None, ValueError("fault"), *(kind("HTTP 999") for kind in kinds)):
        accepted = OPENED.replace(b'"d1"', f'"{error!r}"'.encode())
        post(client, accepted)
        DeliveryWorker(store, Answering(error), clock=partial(float, next(moments))).deliver_due()
    assert {result: grown("batches_total", result=result) for result in RESULTS.values()} == (
        dict.fromkeys(RESULTS.values(), 1.0)
    )


def test_a_count_that_fails_costs_nothing_else() -> None:
    metrics.count_settled("segment", "sent", -1)  # which is no count


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


# under gunicorn


@pytest.fixture
def bridge(tmp_path: Path, segment: FakeSegment) -> Iterator[BridgeProcess]:
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as process:
        yield process


def scrape(bridge: BridgeProcess) -> Figures:
    return to_figures(requests.get(f"{bridge.base}/metrics", timeout=10).text)


def accepted(bridge: BridgeProcess) -> float:
    labels = {"outcome": "accepted", "collection": "Email Opened"}
    return figure(scrape(bridge), "webhooks_total", **labels)


def post_new(bridge: BridgeProcess, *numbers: int) -> None:
    for number in numbers:
        answer = bridge.post(OPENED.replace(b'"d1"', f'"d{number}"'.encode()))
        assert answer.json()["status"] == "accepted"


def workers_of(master: psutil.Process, count: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 10
    while len(found := master.children()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def counts_folder(worker: psutil.Process) -> Path:
    """Where its counters are."""
    (path,) = {Path(m.path).parent for m in worker.memory_maps() if "/counter_" in m.path}
    return path


def test_two_workers_are_added_up_and_a_killed_ones_counts_stay(bridge: BridgeProcess) -> None:
    web = bridge.start_web(WEB_CONCURRENCY="2", DELIVER_IN_WEB="false")
    first, second = workers_of(psutil.Process(web.pid), 2)
    for stopped, numbers in ((first, (1, 2, 3)), (second, (4, 5))):
        stopped.suspend()  # so the other answers
        post_new(bridge, *numbers)
        stopped.resume()
    assert {accepted(bridge) for _ in range(8)} == {5}
    second.kill()
    second.wait()
    workers_of(psutil.Process(web.pid), 2)
    assert accepted(bridge) == 5
    first.suspend()
    post_new(bridge, 6)
    first.resume()
    assert accepted(bridge) == 6


def test_what_alerts_are_about_is_there_before_it_happens(bridge: BridgeProcess) -> None:
    """`increase()` does not see the first one of a series that begins with it."""
    bridge.start_web()
    served = scrape(bridge)
    for name, label, values in (
        ("webhooks", "outcome", ("ignored", "quarantined", "refused", "not_kept")),
        ("batches", "result", RESULTS.values()),
        ("events_settled", "outcome", ("sent", "later", "dead", "released")),
    ):
        kwargs = {"collection": ""} if name == "webhooks" else {}
        for value in values:
            labels = frozenset({label: value, **kwargs}.items())
            assert served[f"bridge_{name}_total", labels] == 0


def test_refusals_are_counted(bridge: BridgeProcess) -> None:
    bridge.start_web()
    bridge.post(OPENED, params={"token": "a-wrong-token"})
    assert bridge.post(iter([b"body"]), params={}).status_code == 401
    assert figure(scrape(bridge), "webhooks_total", outcome="refused", collection="") == 2


def test_the_folder_of_the_counts_outlives_a_reload_and_goes_with_the_master(
    bridge: BridgeProcess,
) -> None:
    web = bridge.start_web()
    post_new(bridge, 1)
    (worker,) = workers_of(psutil.Process(web.pid), 1)
    folder = counts_folder(worker)
    web.send_signal(signal.SIGHUP)
    worker.wait(20)
    post_new(bridge, 2)
    assert counts_folder(*workers_of(psutil.Process(web.pid), 1)) == folder
    assert accepted(bridge) == 2
    web.send_signal(signal.SIGTERM)
    assert web.wait(20) == 0
    assert not folder.exists()


def test_a_folder_that_was_tidied_away_costs_counts_but_no_webhook(bridge: BridgeProcess) -> None:
    web = bridge.start_web()
    (worker,) = workers_of(psutil.Process(web.pid), 1)
    shutil.rmtree(counts_folder(worker))
    post_new(bridge, 1)
    assert accepted(bridge) == 1  # what this process counted
    worker.kill()
    worker.wait()
    post_new(bridge, 2)
    assert accepted(bridge) == 1


def test_a_folder_without_room_is_replaced(bridge: BridgeProcess) -> None:
    bridge.start_web(PROMETHEUS_MULTIPROC_DIR="/proc/not-there")
    post_new(bridge, 1)
    assert accepted(bridge) == 1


def test_folders_of_killed_masters_are_removed_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    left, kept = tmp_path / f"bridge-{dead.pid}-x", tmp_path / f"bridge-{os.getpid()}-x"
    for folder in (left, kept):
        folder.mkdir()
    metrics.remove_folders_of_the_dead()
    assert (left.exists(), kept.exists()) == (False, True)


def test_who_does_not_start_leaves_no_folder(bridge: BridgeProcess) -> None:
    started = time.time()
    with subprocess.Popen(
        bridge.GUNICORN,
        cwd=bridge.folder,
        env={**bridge.environ, "SEGMENT_REGION": "mars"},
        stderr=subprocess.PIPE,
    ) as process:
        assert process.wait(20) == 1
    # a process that had the same id may have been killed, and have left one
    found = [
        left
        for folder in (Path("/dev/shm"), Path(tempfile.gettempdir()))
        for left in folder.glob(f"bridge-{process.pid}-*")
        if left.stat().st_ctime > started
    ]
    assert not found


def test_a_deliverer_counts_in_a_folder_that_it_shares(
    bridge: BridgeProcess, segment: FakeSegment, tmp_path: Path
) -> None:
    bridge.environ |= {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "not" / "there"),
        "DELIVER_IN_WEB": "false",
    }
    web = bridge.start_web()
    post_new(bridge, 1)
    assert bridge.flask("deliver", "--once").returncode == 0
    segment.wait_for(1)
    assert figure(scrape(bridge), "batches_total", result="sent") == 1
    web.send_signal(signal.SIGTERM)
    web.wait(20)
    assert list((tmp_path / "not" / "there").glob("counter_*"))  # not ours to remove


# what asks for the figures

NAME = re.compile(r"\b(bridge_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'([a-z_]+)\s*(=~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def rules() -> list[Any]:
    found = yaml.safe_load((ROOT / "docs" / "alert-rules.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads((ROOT / "docs" / "grafana.json").read_text())


def targets() -> list[Any]:
    return [target for panel in dashboard()["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(
    "expression", [one["expr"] for one in (*rules(), *targets()) if "bridge_" in one["expr"]]
)
def test_rules_and_panels_ask_for_what_is_served(client: FlaskClient, expression: str) -> None:
    for sample in SAMPLES:
        post(client, sample.read_bytes())
    served: dict[str, dict[str, set[str]]] = {}
    for name, labels in to_figures(client.get("/metrics").text):
        of_name = served.setdefault(name, {})
        for label, value in labels:
            of_name.setdefault(label, set()).add(value)
    asked = NAME.findall(expression)
    for name, selector in asked:
        assert name in served
        for label, operator, value in LABEL.findall(selector):
            assert label in served[name]
            assert operator == "!=" or value in served[name][label]
    for grouping in GROUPING.findall(expression):
        known = set.union(*(set(served[name]) for name, _ in asked))
        assert {label.strip() for label in grouping.split(",")} <= known
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_each_rule_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 9
    for rule in rules():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "action"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_dashboard_can_be_imported() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 36
    (variable,) = board["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for part in (*panels, *targets()):
        assert part["datasource"]["uid"] == f"${{{variable['name']}}}"
    for target in targets():
        used = re.findall(r"{{(\w+)}}", target["legendFormat"])
        assert set(used) <= set(re.findall(r"by \((\w+)\)", target["expr"]))
