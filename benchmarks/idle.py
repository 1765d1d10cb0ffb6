"""How long a single event takes through an idle bridge, from the post to Segment's answer."""

import random
import time

import requests

from benchmarks.bodies import body_around
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from benchmarks.servers import Server, Sink, bridge, sink

POSTS = 4
"""In each round."""

PAUSE = 2.0
"""Seconds between two, give or take a quarter: the deliverer's own pauses must not fall in step."""


def measure(options: Options) -> list[Figure]:
    """Post by post."""
    chance = random.Random(7)
    with sink() as segment, bridge(segment) as server:
        took = []
        for number in range(options.rounds * POSTS):
            time.sleep(chance.uniform(0.75, 1.25) * PAUSE)
            took.append(_seconds(number, server, segment))
    say(f"idle: {', '.join(f'{each:.2f}' for each in took)} s")
    return [Figure("from the post to Segment, idle", at_most(1, " s"), took)]


def _seconds(number: int, server: Server, segment: Sink) -> float:
    before, after = body_around()
    seen = segment.tally().calls
    posted = time.time()
    answer = requests.post(server.webhook, data=before + b"idle-%d" % number + after, timeout=10)
    assert answer.json()["status"] == "accepted", answer.text
    while (tally := segment.tally()).calls == seen:
        assert time.time() < posted + 30, server.log
        time.sleep(0.02)
    return tally.latest - posted
