"""How long a backlog for Drip takes, and the first sync of an audience, against what Drip's limits
allow, on a clock that is stepped.

The stand-in for Drip counts its own sliding hours, by that clock, and refuses what is too much. It
takes a moment for each request, and works on each batch for most of the time that the bridge gives
it.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.outbox.messages import Message
from app.segment_to_drip.sending.planning import LARGEST_BATCH
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from tests.support.builders import NOW
from tests.support.clock import Clock
from tests.support.drip_delivery import SETTLE, DripDeliverer, identify, track
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import HOUR, FakeDripRest, Visit

PEOPLE, EVENTS = 100_000, 20_000
AUDIENCE = 200_000
COMES_WITHIN = 600.0
"""Seconds in which Segment posts a whole audience. A backlog is there at once."""
REQUESTS, BATCHES = 3_600, 50

SINGLE, BATCH = 0.25, 1.0
"""Seconds that a request takes."""

IDLE = 5.0
"""Seconds that pass at least if nothing may be sent."""

PUT = 1_000
"""Calls that are kept with one commit."""


def measure(options: Options) -> list[Figure]:
    """The times they took ÷ the time that the limits allow."""
    people, events = options.count(PEOPLE), options.count(EVENTS)
    audience = options.count(AUDIENCE)
    backlog = f"{people:,} identifies and {events:,} track calls to Drip"
    sync = f"{audience:,} people of an audience, who come within 10 minutes"
    return [
        _measure(backlog, _backlog(people, events), 0.0, options),
        _measure(sync, _audience(audience), COMES_WITHIN, options),
    ]


def _measure(name: str, calls: Sequence[Message], within: float, options: Options) -> Figure:
    # less takes as many hours within smaller limits
    requests = round(REQUESTS * options.scale)
    batches = max(1, round(BATCHES * options.scale))
    took = drain(calls, within, requests, batches)
    allowed = time_allowed(len(calls), requests, batches)
    say(f"{name}: {took:,.0f} s by the stepped clock, {allowed:,.0f} s are allowed")
    return Figure(f"{name} ÷ what its limits allow", at_most(1.05), [took / allowed])


def time_allowed(calls: int, requests: int, batches: int) -> float:
    """The least seconds for so many calls: at once all of an hour's requests, and again after each
    hour."""
    an_hour = requests + batches * LARGEST_BATCH
    return (calls - 1) // an_hour * HOUR


def drain(calls: Sequence[Message], within: float, requests: int, batches: int) -> float:
    """Seconds by the stepped clock until all calls are sent, which come evenly within so many
    seconds."""
    clock = Clock(NOW)
    came = 0

    def come() -> None:
        nonlocal came
        passed = (clock.now - NOW) / within if within else 1.0
        until = int(len(calls) * min(passed, 1.0))
        for first in range(came, until, PUT):
            drip.put(*calls[first : min(first + PUT, until)])
        came = until

    def take_time(visit: Visit) -> Reply | None:
        clock.now += BATCH if visit.call and visit.call.is_batch else SINGLE
        come()
        return None

    with (
        tempfile.TemporaryDirectory(prefix="bench") as name,
        FakeDripRest(
            clock=clock,
            batch_delay=SETTLE - 10,
            requests_per_hour=requests,
            batches_per_hour=batches,
        ) as fake,
    ):
        engine = open_database(make_url(f"sqlite:///{Path(name) / 'bridge.db'}"))
        upgrade(engine)
        drip = DripDeliverer(
            engine, fake, clock, requests_per_hour=requests, batches_per_hour=batches
        )
        fake.behave = take_time
        come()
        while came < len(calls) or drip.waiting():
            before = len(fake.visits)
            drip.drain()
            if len(fake.visits) == before:
                clock.now += IDLE if came == len(calls) else 1.0
                come()
        engine.dispose()
        if fake.violations:
            raise SystemExit(f"Drip's rules were broken: {fake.violations[:3]}")
        took = fake.visits[-1].at - NOW
        clock.now += SETTLE
        _check(fake, calls)
        return took


def _backlog(people: int, events: int) -> list[Message]:
    """People of whom some did something too."""
    calls = [identify(f"i{n}", _address(n), f"u{n}") for n in range(people)]
    return calls + [track(f"t{n}", None, f"u{n * 7 % people}") for n in range(events)]


def _audience(people: int) -> list[Message]:
    """What Engage sends first: everybody who is in an audience."""
    subscriber = {"custom_fields": {"big_spenders": True}, "initial_status": "unsubscribed"}
    return [
        identify(f"i{n}", _address(n), f"u{n}", subscriber=subscriber, changes_address=False)
        for n in range(people)
    ]


def _address(number: int) -> str:
    return f"p{number}@example.com"


def _check(fake: FakeDripRest, calls: Sequence[Message]) -> None:
    people, found = fake.people(), Counter(call.collection for call in calls)
    events = sum(len(each.events) for each in people.values())
    if (len(people), events) != (found["identify"], found["track"]):
        raise SystemExit("Not all of it arrived, or more than that.")
