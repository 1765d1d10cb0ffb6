"""The deliverer beside a web process lives exactly as long as that does."""

import os
import signal
import time

import psutil

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.samples import CLICKED
from tests.support.waiting import wait_until


def deliverer_of(master: int) -> psutil.Process:
    """The one below the web worker, once it is there."""
    found: list[psutil.Process] = []

    def look() -> bool:
        children = psutil.Process(master).children(recursive=True)
        found.extend(process for process in children if "deliver" in process.cmdline())
        return bool(found)

    wait_until(look)
    return found[0]


def test_one_that_died_is_started_again_and_sends(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    master = bridge.start_web().pid
    first = deliverer_of(master)
    first.kill()
    bridge.wait_for_log("deliverer ended, starting it again")

    assert deliverer_of(master).pid != first.pid
    assert bridge.post(CLICKED).json()["status"] == "accepted"
    assert len(segment.wait_for(1)) == 1


def test_nobody_goes_on_sending_alone(bridge: BridgeProcess) -> None:
    web = bridge.start_web()
    deliverer = deliverer_of(web.pid)
    worker = deliverer.parent()
    assert worker is not None

    os.kill(web.pid, signal.SIGKILL)
    os.kill(worker.pid, signal.SIGKILL)

    deliverer.wait(timeout=10)


def test_it_ends_with_the_web_process(bridge: BridgeProcess) -> None:
    web = bridge.start_web()
    deliverer = deliverer_of(web.pid)

    web.terminate()

    assert web.wait(timeout=10) == 0
    assert not deliverer.is_running()
    log = bridge.log.read_text()
    assert "starting it again" not in log
    assert "Fatal" not in log  # as Python says of a thread that holds a lock at the end


def test_no_deliverer_runs_with_deliver_in_web_off(bridge: BridgeProcess) -> None:
    web = bridge.start_web(DELIVER_IN_WEB="false")
    time.sleep(0.5)  # in which one would have been started
    [worker] = psutil.Process(web.pid).children()
    assert worker.children() == []
