"""Fault 14: the clock of all processes steps back and forth by an hour."""

from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.faults.conftest import scaled
from tests.faults.ledger import Ledger, event, read
from tests.faults.stepped_clock import SteppedClock
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

HOUR = 3600.0
ASKED = 3100
"""Seconds that Segment asks for; the bridge adds up to a fifth: due on both sides of an hour."""


class Scene:
    """One account flows, another was told to wait; and the clock steps."""

    def __init__(self, bridge: BridgeProcess, segment: FakeSegment, ledger: Ledger) -> None:
        self.bridge, self.segment, self.ledger = bridge, segment, ledger
        self.clock = SteppedClock(bridge)
        self.numbers = count()
        self.told: set[str] = set()
        """Keys that get an answer of trouble, once."""
        self.arrived_at: dict[str, float] = {}
        """By the processes' clock."""
        segment.behave = self.behave

    def behave(self, batch: Batch) -> Reply:
        if batch.write_key in self.told:
            self.told.discard(batch.write_key)
            if batch.write_key == "key-waiting":
                return Reply(429, headers={"Retry-After": str(ASKED)})
            return Reply(500)
        for call in batch.calls:
            self.arrived_at.setdefault(call["messageId"], self.clock.now())
        return OK

    def post(self, how_many: int, account: str = "4417") -> set[str]:
        answers = [self.bridge.post(event(next(self.numbers), account)) for _ in range(how_many)]
        assert all(self.ledger.record(answer) for answer in answers)
        return {answer.json()["message_id"] for answer in answers}

    def flows(self) -> None:
        """What comes now is sent now, also where Segment stumbles once."""
        for told in (set(), {"key-of-the-process"}):
            self.told |= told
            new = self.post(scaled(3, 50))
            wait_until(lambda: new <= self.arrived_at.keys(), 15)  # noqa: B023 - waits here

    def step_under_trouble(self, to: float) -> None:
        """While a key rests after a failure, and its event waits for its next try."""
        self.told.add("key-of-the-process")
        self.post(1)
        wait_until(lambda: "key-of-the-process" not in self.told)
        self.clock.set(to)


def due_times(engine: Engine, account: str) -> dict[str, float]:
    query = select(events.c.message_id, events.c.due_at).where(
        events.c.account == account, events.c.state == "pending", events.c.tries == 1
    )
    return {row.message_id: row.due_at for row in read(engine, query)}


@pytest.mark.fault(14, "clock of all processes stepped back and forth by an hour")
def test_a_step_of_the_clock_holds_up_nothing_new(
    bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    bridge.app = "tests.faults.hurried:hurried()"  # at both scales: 30 s of waits a step
    rounds = scaled(1, 8)
    scene = Scene(bridge, segment, ledger)
    bridge.start_web(DELIVER_IN_WEB="false")
    waiting = scene.post(scaled(20, 90), "waiting")
    scene.told.add("key-waiting")
    bridge.start_deliverer(SEGMENT_WRITE_KEYS="waiting=key-waiting")
    wait_until(lambda: due_times(engine, "waiting").keys() == waiting)
    due = due_times(engine, "waiting")
    scene.flows()

    for _ in range(rounds):
        for hours in (1, 0, -1, 0):
            scene.step_under_trouble(hours * HOUR)
            scene.flows()
    sent_on_the_way = waiting & scene.arrived_at.keys()
    scene.clock.set(2 * HOUR)  # as if the hours had passed
    ledger.wait_for_all(segment, 30)
    # once Segment has taken one, it works again, and the others need not wait any longer
    first = next(one for one in scene.arrived_at if one in waiting)
    assert scene.arrived_at[first] >= due[first]
    seen(
        f"{4 * rounds} steps; {ledger.summary(segment)}; of {len(waiting)} told to wait an hour, "
        f"{len(sent_on_the_way)} sent by a step forward, none before the first was due by the clock"
    )
