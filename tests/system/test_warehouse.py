"""Loads as processes: killed anywhere, beside one another, and started by the deliverer."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.outbox.store import Store
from app.warehouse.reading import MOST_BYTES
from tests.support.bridge_process import BridgeProcess
from tests.support.builders import message
from tests.support.databases import put_schema
from tests.support.waiting import wait_until
from tests.support.warehouses import ids, loader_for, opened

LARGE = 30_000
"""Bytes of a call."""

EVENTS = 2 * MOST_BYTES // LARGE + 100
"""Three batches."""

LOAD = [sys.executable, "-m", "flask", "--app", "wsgi", "warehouse", "load"]


@pytest.fixture
def warehouse_url(bridge: BridgeProcess, tmp_path: Path) -> URL:
    url = make_url(f"duckdb:///{tmp_path}/warehouse.duckdb")
    bridge.environ["WAREHOUSE_URL"] = url.render_as_string()
    return url


@pytest.fixture
def store(bridge: BridgeProcess) -> Iterator[Store]:
    url = make_url(bridge.environ["DATABASE_URL"])
    put_schema(url)
    engine: Engine = open_database(url)
    yield Store(engine, "segment")
    engine.dispose()


def start(bridge: BridgeProcess) -> subprocess.Popen[bytes]:
    return subprocess.Popen(LOAD, cwd=bridge.folder, env=bridge.environ, stdout=subprocess.PIPE)


def kill_when(bridge: BridgeProcess, condition: Callable[[], object]) -> None:
    """Start a load, and kill it in the middle."""
    load = start(bridge)
    wait_until(lambda: condition() or load.poll() is not None, timeout=60)
    load.kill()
    load.communicate()
    assert load.returncode == -signal.SIGKILL


def test_loads_that_are_killed_or_run_at_once_lose_and_double_nothing(
    bridge: BridgeProcess, store: Store, warehouse_url: URL
) -> None:
    call = {"type": "track", "event": "Email Opened", "properties": {"note": "x" * LARGE}}
    sent = [message(f"m{n}", payload=json.dumps(call)) for n in range(EVENTS)]
    store.put(sent)
    loads = loader_for(store.engine, warehouse_url).loads

    kill_when(bridge, Path(str(warehouse_url.database)).exists)
    kill_when(bridge, lambda: loads.last_event("segment"))
    assert loads.count("segment")

    both = [start(bridge) for _ in range(2)]
    said = [load.communicate(timeout=60)[0].decode() for load in both]
    assert [load.returncode for load in both] == [0, 0], said
    assert all("Loaded" in each or "Another process is loading" in each for each in said)
    assert ids(warehouse_url) == sorted(each.message_id for each in sent)
    assert len(ids(warehouse_url, "email_opened")) == EVENTS


def test_the_deliverer_loads_and_does_not_wait_for_a_load_when_it_stops(
    bridge: BridgeProcess, store: Store, warehouse_url: URL
) -> None:
    store.put([opened("1")])
    loads = loader_for(store.engine, warehouse_url).loads
    deliverer = bridge.start_deliverer(WAREHOUSE_EVERY="1s")
    wait_until(lambda: loads.last_event("segment"), timeout=60, report=bridge.log.read_text)
    loading = psutil.Process(deliverer.pid)
    wait_until(loading.children, timeout=60)

    began = time.monotonic()
    deliverer.send_signal(signal.SIGTERM)
    assert deliverer.wait(timeout=20) == 0
    assert time.monotonic() - began < 8
    assert ids(warehouse_url) == [opened("1").message_id]
