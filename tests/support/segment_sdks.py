"""Segment's own SDKs, and the examples of the docs that use them."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.drip_people import Person
from tests.support.drip_process import send_to_drip
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.waiting import wait_until

WRITE_KEY = "a-write-key-for-the-sdks"
"""The key of `TRACKING_WRITE_KEYS` in tests."""

PACKAGES = ("@segment/analytics-node@3.1.0", "@segment/analytics-next@1.84.3")


def install_packages(folder: Path) -> Path:
    """Install the SDKs in JavaScript, once for all processes of a run of tests. Returns the folder
    of node_modules. Without npm the test is skipped, or fails if SDK_TESTS=required."""
    npm = shutil.which("npm")
    if npm is None:
        if os.environ.get("SDK_TESTS") == "required":
            pytest.fail("no npm on the PATH, and SDK_TESTS=required")
        pytest.skip("no npm on the PATH")
    folder.mkdir(exist_ok=True)
    installed = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
            subprocess.run([npm, "install", *quiet, *PACKAGES], check=True, timeout=110)
            installed.touch()
    return folder / "node_modules"


def take_sdks(bridge: BridgeProcess, drip: FakeDripRest) -> None:
    """Turn the direction on for SDKs alone, for the processes that are started from here on."""
    send_to_drip(bridge, drip)
    del bridge.environ["SEGMENT_WEBHOOK_SECRET"]
    bridge.environ["TRACKING_WRITE_KEYS"] = WRITE_KEY
    bridge.secrets.append(WRITE_KEY)


def wait_for_the_example(drip: FakeDripRest) -> Person:
    """Until Drip has what the examples send. Returns the person."""

    def events() -> list[Any]:
        sent = [visit for visit in drip.visits if visit.line.endswith("/events")]
        return [item for visit in sent for item in visit.items]

    wait_until(lambda: bool(events()), 30)
    (event,) = events()
    assert event["email"] == "ada@example.com"
    assert event["action"] == "Order Completed"
    assert event["properties"] == {"value": 1999}
    assert list(drip.people()) == ["ada@example.com"]
    return drip.people()["ada@example.com"]


def example(name: str, bridge: str) -> str:
    """The example of the docs with this text in it, for this bridge and the key of tests."""
    docs = (ROOT / "docs" / "destination.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", docs, re.MULTILINE)
    (found,) = (code for code in blocks if name in code and re.search("import|<script", code))
    return (
        dedent(found)
        .replace("your-write-key", WRITE_KEY)
        .replace("https://bridge.example.com", bridge)
    )
