"""The supervisor tries again when the deliverer cannot be started."""

import sys
import time
from pathlib import Path

import pytest

from app.delivery import supervisor as module
from app.delivery.supervisor import Supervisor
from tests.support.logged import Logged


def test_one_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(module, "START_AGAIN_AFTER", 0.05)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    deliverer = Supervisor("wsgi:app")
    deliverer.start()
    try:
        deadline = time.monotonic() + 10
        while logged.text.count("deliverer cannot be started, trying again") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (tmp_path / "python").symlink_to("/bin/true")
        while "deliverer ended" not in logged.text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        deliverer.stop()
        deliverer.join(timeout=10)
