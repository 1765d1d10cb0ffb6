"""When to try an event again, or to give it up: a table of numbers, no clock and no dice."""

FIRST = 5.0
"""Seconds to wait after the first failure; doubled after each further one."""

LONGEST = 3600.0
"""Seconds to wait at most, also where the destination asks for more."""

GIVE_UP_AFTER = 72 * 3600.0
"""Seconds after receipt: as long as Drip itself would have gone on sending."""

FEWEST_TRIES = 8
"""An event that was held for days gets these, about ten minutes of them, however old it is."""

SPREAD = 0.2
"""Up to this share is added to each wait, so that events that failed together come back apart."""


def next_try(
    tries: int, received_at: float, now: float, asked: float | None, chance: float
) -> float | None:
    """When an event is due again after its `tries`-th failure, or None to give it up.

    Times are seconds since the epoch. `asked` is the destination's own Retry-After in seconds:
    never undercut (up to `LONGEST`). `chance` is a random number from 0 to 1.
    """
    if tries >= FEWEST_TRIES and now - received_at >= GIVE_UP_AFTER:
        return None
    return now + pause(tries, asked, chance)


def pause(tries: int, asked: float | None, chance: float) -> float:
    """Seconds to wait after so many failures in a row."""
    own = FIRST * 2.0 ** min(tries - 1, 20)
    return min(max(own, asked or 0.0), LONGEST) * (1 + SPREAD * chance)
