"""Whether the bridge grows with what has gone through it."""

from benchmarks.load import flood
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from benchmarks.servers import Server, Sink, bridge, sink

FEW = 10_000
MANY = 1_000_000


def measure(options: Options) -> list[Figure]:
    """Once: accepted and sent, a few and then many."""
    many = options.count(MANY)
    few = min(FEW, many)
    with sink() as segment, bridge(segment) as server:
        accepted = _accept(few, 5, server)
        before = _memory_after(accepted, server, segment)
        accepted += _accept(many - accepted, 30, server)
        after = _memory_after(accepted, server, segment)
    return [
        Figure(f"memory after {many:,} events ÷ after {few:,}", at_most(1.1), [after / before]),
        Figure(f"memory after {many:,} events", at_most(250, " MB"), [after]),
    ]


def _accept(count: int, seconds: int, server: Server) -> int:
    """So many at least, in loads of so many seconds."""
    accepted = 0
    while accepted < count:
        accepted += flood(server, seconds).answers
        say(f"memory: {server.memory():.0f} MB with {accepted:,} of {count:,} accepted")
    return accepted


def _memory_after(count: int, server: Server, segment: Sink) -> float:
    segment.wait_for(count)
    memory = server.memory()
    say(f"memory: {memory:.0f} MB when {count:,} were sent")
    return memory
