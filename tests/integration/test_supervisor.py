"""The supervisor tries again when the deliverer cannot be started."""

import sys
import threading
from pathlib import Path

import pytest

from app.delivery import supervisor as module
from app.delivery.supervisor import Supervisor
from tests.support.logged import Logged
from tests.support.waiting import wait_until


def test_one_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(module, "START_AGAIN_AFTER", 0.05)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    deliverer = Supervisor("wsgi:app")
    deliverer.start()
    try:
        again = "deliverer cannot be started, trying again"
        wait_until(lambda: logged.text.count(again) >= 2)
        (tmp_path / "python").symlink_to("/bin/true")
        wait_until(lambda: "deliverer ended" in logged.text)
    finally:
        deliverer.stop()
        deliverer.join(timeout=10)
    assert "deliverer" not in {thread.name for thread in threading.enumerate()}
