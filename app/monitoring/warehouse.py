"""Find what is wrong with the loads into a warehouse. Pure."""

from collections.abc import Iterator, Sequence

from app.formatting import long_duration, minute_time, relative_time, short_duration
from app.monitoring.problem import Problem
from app.outbox.loads import GRACE, Load

SOON = 3600.0
"""Seconds that loads which the bridge starts, or which fail, may be behind at least."""

A_DAY = 26 * 3600.0
"""The same for those that a schedule outside starts, perhaps once a day."""

NAME = "warehouse"


def of_load(load: Load | None, now: float) -> Iterator[Problem]:
    """The problems of the loads of one direction, if there are loads."""
    if load is None:
        return
    if load.oldest is not None and now - load.oldest > _patience(load):
        yield _behind(load, load.oldest, now)
    if load.to_erase is not None and now - load.to_erase > _patience(load):
        since = minute_time(load.to_erase, now)
        yield Problem(
            f"{NAME} erasure",
            "warning",
            "A person who was erased is still in the warehouse",
            f"Since {since}.",
            "The next load that reaches it erases them: flask warehouse load",
            "Nobody who was erased is left in the warehouse",
            since=load.to_erase,
        )


def lag(load: Load, now: float) -> float:
    """How many seconds the oldest event has waited that is not loaded yet."""
    return 0.0 if load.oldest is None else max(0.0, now - load.oldest)


def furthest_behind(loads: Sequence[Load | None], now: float) -> Load | None:
    """Of the loads of all directions the one that is furthest behind; None if there are none."""
    found = [each for each in loads if each is not None]
    return max(found, key=lambda each: lag(each, now), default=None)


def state_of(load: Load, now: float) -> str:
    """When something was loaded, how far it is behind, and why, in a few words."""
    loaded = "not loaded yet"
    if load.loaded_at is not None:
        loaded = f"loaded {relative_time(load.loaded_at, now)}"
    behind = f", {short_duration(lag(load, now))} behind" if load.oldest is not None else ""
    failing = f", failing ({load.error})" if load.error else ""
    return f"{loaded}{behind}{failing}"


def _patience(load: Load) -> float:
    if load.error:
        return SOON
    return max(SOON, 3 * load.every) if load.every else A_DAY


def _behind(load: Load, oldest: float, now: float) -> Problem:
    last = "none yet" if load.loaded_at is None else minute_time(load.loaded_at, now)
    waits = long_duration(now - oldest)
    facts = [f"The oldest event that is not loaded came {waits} ago; last load: {last}."]
    if load.error and load.failing_since:
        facts.append(f"Loads fail since {minute_time(load.failing_since, now)}: {load.error}.")
    is_kept_longer = now - oldest > load.retention
    if is_kept_longer:
        end = minute_time(oldest + load.retention + GRACE, now)
        facts.append(
            f"Events are kept for it beyond their retention, until {end}. Then they are deleted "
            "without having been loaded."
        )
    return Problem(
        NAME,
        "critical" if is_kept_longer else "warning",
        "The warehouse is behind",
        " ".join(facts),
        "See whether it can be reached, and the log. To load by hand: flask warehouse load",
        "The warehouse has caught up",
        since=oldest,
    )
