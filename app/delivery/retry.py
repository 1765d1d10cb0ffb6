"""Compute when a failed message is tried again. Pure: time and chance are passed in."""

from app.destination import RetryPolicy


def next_try(
    policy: RetryPolicy,
    tries: int,
    received_at: float,
    now: float,
    asked: float | None,
    chance: float,
) -> float | None:
    """When a message is due again after its `tries`-th failure, or None to give it up.

    Times are in seconds since the epoch. `asked` is the destination's Retry-After in seconds: the
    wait is at least that, up to the policy's longest. `chance` is a random number from 0 to 1.
    """
    if tries >= policy.fewest_tries and now - received_at >= policy.give_up_after:
        return None
    return now + pause(policy, tries, asked, chance)


def pause(policy: RetryPolicy, tries: int, asked: float | None, chance: float) -> float:
    """Seconds to wait after `tries` failures in a row; `asked` and `chance` as in `next_try`."""
    own = policy.first * 2.0 ** min(tries - 1, 20)
    return min(max(own, asked or 0.0), policy.longest) * (1 + policy.spread * chance)
