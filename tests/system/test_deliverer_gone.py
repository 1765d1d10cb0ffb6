"""A web process reports that no process sends, and that one does again."""

import requests

from tests.support.bridge_process import BridgeProcess
from tests.support.figures import figure, to_figures
from tests.support.samples import OPENED
from tests.support.waiting import wait_until


def reasons(bridge: BridgeProcess) -> list[str]:
    answer = requests.get(f"{bridge.base}/readyz", timeout=10)
    found: list[str] = answer.json().get("reasons", [])
    assert answer.status_code == (503 if found else 200)
    return found


def deliverers(bridge: BridgeProcess) -> float:
    return figure(to_figures(requests.get(f"{bridge.base}/metrics", timeout=10).text), "deliverers")


IMPATIENT = """
from app import bridge
from app.monitoring import deliverers, watched

bridge.BEAT_EVERY, deliverers.ALIVE, watched.STARTING = 0.5, 3.0, 3.0
from wsgi import app
"""
"""After 3 seconds, in place of 30, a deliverer counts as gone, and a web process as started."""


def test_a_deliverer_that_is_killed_is_missed_until_another_runs(bridge: BridgeProcess) -> None:
    (bridge.folder / "impatient.py").write_text(IMPATIENT)
    bridge.app = "impatient:app"
    deliverer = bridge.start_deliverer()
    bridge.start_web(DELIVER_IN_WEB="false")
    wait_until(lambda: deliverers(bridge) == 1)
    bridge.kill(deliverer)
    bridge.post(OPENED)
    assert reasons(bridge) == []
    wait_until(lambda: bool(reasons(bridge)), timeout=40)
    (reason,) = reasons(bridge)
    assert reason.startswith("No deliverer runs, so nothing is sent. Last seen: at ")
    assert "1 event waiting, none lost." in reason
    assert "flask deliver" in reason
    assert deliverers(bridge) == 0
    bridge.start_deliverer()
    wait_until(lambda: not reasons(bridge))
    assert deliverers(bridge) == 1
