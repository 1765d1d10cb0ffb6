"""The whole way of an event, as its users go it: over HTTP, through processes that are killed."""

import json
import signal
import time
from typing import Any

import pytest
from segment.analytics.version import VERSION as SDK_VERSION
from sqlalchemy import Engine

from app.outbox.store import Store
from app.version import VERSION
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.builders import rows
from tests.support.fake_segment import Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

SAMPLES = sorted((ROOT / "samples").glob("*.json"))
EXPECTED = json.loads(
    (ROOT / "tests" / "integration" / "samples_as_calls.json")
    .read_text()
    .replace("{bridge}", VERSION)
    .replace("{sdk}", SDK_VERSION)
)


@pytest.fixture
def bridge(bridge_process: BridgeProcess, engine: Engine) -> BridgeProcess:  # noqa: ARG001
    """gunicorn over a database of each engine that has the schema, not yet started."""
    return bridge_process


def by_id(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(calls, key=lambda call: str(call["messageId"]))


def test_all_seven_events_arrive_exactly_as_expected(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    bridge.start_web()
    answers = [bridge.post(sample.read_bytes()) for sample in SAMPLES]
    assert [answer.status_code for answer in answers] == [200] * 7
    assert by_id(segment.wait_for(7)) == by_id(EXPECTED)
    assert {batch.write_key for batch in segment.batches} == {"key-of-the-process"}


def test_what_was_answered_survives_sigkill_and_arrives_once(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    web = bridge.start_web(DELIVER_IN_WEB="false")
    for sample in SAMPLES[:4]:
        assert bridge.post(sample.read_bytes()).json()["status"] == "accepted"
    bridge.kill(web)
    assert segment.calls == []

    bridge.start_both()
    for sample in SAMPLES:
        expected = "duplicate" if sample in SAMPLES[:4] else "accepted"
        assert bridge.post(sample.read_bytes()).json()["status"] == expected
    assert by_id(segment.wait_for(7)) == by_id(EXPECTED)


def test_events_are_held_until_there_is_a_write_key(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    web = bridge.start_web(SEGMENT_WRITE_KEY="")
    bridge.post(SAMPLES[0].read_bytes())
    bridge.wait_for_log("are held: no key is set")
    bridge.kill(web)
    assert segment.batches == []

    bridge.start_both()
    assert len(segment.wait_for(1)) == 1


@pytest.mark.parametrize("command", ["web", "deliver"])
def test_sigterm_lets_the_batch_in_hand_be_settled(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, command: str
) -> None:
    def slowly(_: Batch) -> Reply:
        return Reply(hang=1.0)

    segment.behave = slowly
    web = bridge.start_web(DELIVER_IN_WEB="true" if command == "web" else "false")
    process = web if command == "web" else bridge.start_deliverer()
    bridge.post(SAMPLES[0].read_bytes())
    wait_until(lambda: segment.batches)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - started < 10
    assert [row.state for row in rows(Store(engine, "segment")).values()] == ["sent"]
    assert len(segment.batches) == 1


def test_a_worker_takes_what_the_web_process_kept(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    bridge.start_deliverer()
    bridge.post(SAMPLES[0].read_bytes())
    assert len(segment.wait_for(1)) == 1
