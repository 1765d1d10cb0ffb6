"""Fault 11: another process holds the write lock of the SQLite file."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from tests.faults.conftest import FULL, scaled
from tests.faults.ledger import Ledger, Load
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.fake_segment import FakeSegment

HOLD_THE_LOCK = """
import sys
from sqlalchemy import make_url
from app.database.engine import open_database
with open_database(make_url(sys.argv[1])).begin():
    print("locked", flush=True)
    sys.stdin.read()
"""

LONGEST_ANSWER = 10.0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.fault(11, "the SQLite file locked by another process")
def test_a_file_held_by_another_is_waited_for_then_answered_429(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    hold = 60.0 if FULL else 1.6
    senders = scaled(4, 40)  # more than the bridge has threads
    scaled_bridge.start_both()
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(engine.url)]
    with Load(scaled_bridge.webhook, ledger, threads=senders):
        ledger.wait_for_more(200)
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == b"locked\n"
            promised = len(ledger.promised)
            time.sleep(hold)
            assert len(ledger.promised) <= promised + senders  # answers that were on their way
        ledger.wait_for_more(200)
    assert ledger.answers.keys() == {200, 429}
    assert ledger.slowest < LONGEST_ANSWER
    ledger.wait_for_all(segment, seconds=60)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    seen(
        f"{hold:g} s: {ledger.answers[429]:,} times 429, none slower than {ledger.slowest:.1f} s; "
        f"{ledger.summary(segment)}; integrity_check ok"
    )
