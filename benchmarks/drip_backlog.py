"""How long a backlog for Drip takes, against what Drip's limits allow, on a clock that is stepped.

The stand-in for Drip counts its own sliding hours, by that clock, and refuses what is too much. It
takes a moment for each request, and works on each batch for most of the time that the bridge gives
it.
"""

import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.segment_to_drip.sending.planning import LARGEST_BATCH
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from tests.support.builders import NOW
from tests.support.clock import Clock
from tests.support.drip_delivery import SETTLE, DripDeliverer, identify, track
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import HOUR, FakeDripRest, Visit

PEOPLE, EVENTS = 100_000, 20_000
REQUESTS, BATCHES = 3_600, 50

SINGLE, BATCH = 0.25, 1.0
"""Seconds that a request takes."""

IDLE = 5.0
"""Seconds that pass at least if nothing may be sent."""

PUT = 1_000
"""Calls that are kept with one commit."""


def measure(options: Options) -> list[Figure]:
    """The time it took ÷ the time that the limits allow."""
    people, events = options.count(PEOPLE), options.count(EVENTS)
    # a smaller backlog takes as many hours within smaller limits
    share = people / PEOPLE
    requests, batches = round(REQUESTS * share), max(1, round(BATCHES * share))
    took = drain(people, events, requests, batches)
    allowed = time_allowed(people + events, requests, batches)
    say(f"drip backlog: {took:,.0f} s by the stepped clock, {allowed:,.0f} s are allowed")
    name = f"{people:,} identifies and {events:,} track calls to Drip ÷ what its limits allow"
    return [Figure(name, at_most(1.05), [took / allowed])]


def time_allowed(calls: int, requests: int, batches: int) -> float:
    """The least seconds for so many calls: at once all of an hour's requests, and again after each
    hour."""
    an_hour = requests + batches * LARGEST_BATCH
    return (calls - 1) // an_hour * HOUR


def drain(people: int, events: int, requests: int, batches: int) -> float:
    """Seconds by the stepped clock until all is sent, of people of whom some did something too."""
    clock = Clock(NOW)

    def take_time(visit: Visit) -> Reply | None:
        clock.now += BATCH if visit.call and visit.call.is_batch else SINGLE
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
        _fill(drip, people, events)
        fake.behave = take_time
        _run(drip, clock)
        engine.dispose()
        if fake.violations:
            raise SystemExit(f"Drip's rules were broken: {fake.violations[:3]}")
        took = fake.visits[-1].at - NOW
        clock.now += SETTLE
        _check(fake, people, events)
        return took


def _fill(drip: DripDeliverer, people: int, events: int) -> None:
    calls = [identify(f"i{n}", _address(n), f"u{n}") for n in range(people)]
    calls += [track(f"t{n}", None, f"u{n * 7 % people}") for n in range(events)]
    for first in range(0, len(calls), PUT):
        drip.put(*calls[first : first + PUT])


def _address(number: int) -> str:
    return f"p{number}@example.com"


def _run(drip: DripDeliverer, clock: Clock) -> None:
    while drip.waiting():
        before = len(drip.fake.visits)
        drip.drain()
        if len(drip.fake.visits) == before:
            clock.now += IDLE


def _check(fake: FakeDripRest, people: int, events: int) -> None:
    found = fake.people()
    if len(found) != people or sum(len(each.events) for each in found.values()) != events:
        raise SystemExit("Not all of it arrived, or more than that.")
