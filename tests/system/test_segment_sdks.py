"""Segment's SDKs for servers, set up as the docs say, reach Drip through the bridge."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.segment_sdks import (
    WRITE_KEY,
    example,
    install_packages,
    take_sdks,
    wait_for_the_example,
)
from tests.support.segment_webhooks import call
from tests.support.waiting import wait_until


@pytest.fixture
def drip(bridge: BridgeProcess) -> Iterator[FakeDripRest]:
    """Drip, behind a bridge that runs."""
    with FakeDripRest() as fake:
        take_sdks(bridge, fake)
        bridge.start_both()
        yield fake
        assert fake.violations == []


def test_python(bridge: BridgeProcess, drip: FakeDripRest) -> None:
    script = bridge.folder / "example.py"
    script.write_text(example("segment.analytics", bridge.base))
    subprocess.run([sys.executable, script], check=True, timeout=60)
    assert wait_for_the_example(drip).fields["user_id"] == "42"


def test_a_batch_as_large_as_it_may_be(bridge: BridgeProcess, drip: FakeDripRest) -> None:
    """Over gunicorn: pages, which are made in threads, may not have such bodies."""
    page = {"type": "page", "userId": "42", "properties": {"text": "x" * 30_000}}
    calls = [*[page] * 15, json.loads(call("last"))]
    body = json.dumps({"batch": calls}).encode()
    for data, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        answer = requests.post(
            f"{bridge.base}/v1/batch", data=data, headers=headers, auth=(WRITE_KEY, ""), timeout=30
        )
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    wait_until(lambda: "last@example.com" in drip.people(), 30)


def test_node(
    bridge: BridgeProcess, drip: FakeDripRest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    modules = install_packages(tmp_path_factory.getbasetemp().parent / "segment-sdks")
    script = modules.parent / f"{bridge.port}.mjs"  # there Node.js finds the packages
    script.write_text(example("analytics-node", bridge.base))
    subprocess.run(["node", script], check=True, timeout=60)
    assert wait_for_the_example(drip).fields["user_id"] == "42"
