"""What several processes count, that it outlives them, and where it is kept."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import requests

from app.monitoring import metrics
from app.monitoring.metrics import RESULTS
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.figures import Figures, figure, to_figures
from tests.support.samples import OPENED
from tests.support.waiting import wait_until


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
    wait_until(lambda: len(master.children()) >= count)
    return master.children()


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
    bridge.start_web(DELIVER_IN_WEB="false")
    bridge.post(OPENED, params={"token": "a-wrong-token"})
    assert bridge.post(iter([b"body"]), params={}).status_code == 401
    assert figure(scrape(bridge), "webhooks_total", outcome="refused", collection="") == 2


def test_the_folder_of_counts_goes_with_the_master(
    bridge: BridgeProcess,
) -> None:
    web = bridge.start_web(DELIVER_IN_WEB="false")
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


def test_a_removed_folder_costs_counts_but_no_webhook(bridge: BridgeProcess) -> None:
    web = bridge.start_web(DELIVER_IN_WEB="false")
    (worker,) = workers_of(psutil.Process(web.pid), 1)
    shutil.rmtree(counts_folder(worker))
    post_new(bridge, 1)
    assert accepted(bridge) == 1  # what this process counted
    worker.kill()
    worker.wait()
    post_new(bridge, 2)
    assert accepted(bridge) == 1


def test_a_folder_without_room_is_replaced(bridge: BridgeProcess) -> None:
    bridge.start_web(PROMETHEUS_MULTIPROC_DIR="/proc/not-there", DELIVER_IN_WEB="false")
    post_new(bridge, 1)
    assert accepted(bridge) == 1


def test_folders_of_killed_masters_are_removed_at_start(
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
    process = bridge.start_one([*bridge.GUNICORN], SEGMENT_REGION="mars")
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
