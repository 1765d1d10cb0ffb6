"""How soon a bridge in an empty folder accepts its first webhook."""

import time

import requests

from benchmarks.bodies import body_around
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from benchmarks.servers import Server, launched_bridge, sink


def measure(options: Options) -> list[Figure]:
    """From the start of the process, through making the database, to the 200."""
    took = []
    for number in range(options.rounds):
        with sink() as segment:
            began = time.monotonic()
            with launched_bridge(segment) as server:
                _post_until_accepted(server, began + 30)
                took.append(time.monotonic() - began)
        say(f"start, round {number + 1}: {took[-1]:.2f} s")
    return [Figure("from nothing to the first accepted webhook", at_most(2, " s"), took)]


def _post_until_accepted(server: Server, deadline: float) -> None:
    before, after = body_around()
    while time.monotonic() < deadline:
        try:
            answer = requests.post(server.webhook, data=before + b"first" + after, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.01)
        else:
            assert answer.json()["status"] == "accepted", answer.text
            return
    raise SystemExit(f"It did not start:\n{server.log}")
