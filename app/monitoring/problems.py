"""Find what is wrong with one direction, from its stats: what, how much, since when, what to do.

Pure. A sentence here claims no more than the stats show. `watched.py` finds the problems of all
directions.
"""

from collections.abc import Iterator, Sequence

from app.destination import Destination
from app.formatting import long_duration, minute_time, pluralize, thousands
from app.monitoring.problem import LEVELS, Problem
from app.monitoring.stats import Issue, Stats, Waiting
from app.monitoring.warehouse import of_load
from app.outbox.quarantine import MOST_BYTES, is_full
from app.outbox.reasons import short

PASSING = 60.0
"""Seconds after which trouble with a destination no longer counts as passing by itself."""

HELD = 300.0
"""Seconds that a message may wait for a key to be set."""

MOVING = 60.0
"""Seconds since a destination took something for which messages count as flowing."""


def find_problems(
    stats: Stats, destination: Destination, now: float, silence: float | None = None
) -> list[Problem]:
    """Find the problems of one direction, the gravest first.

    `now` is in seconds since the epoch. `silence` is how many seconds without a webhook are too
    many; None for no such check.
    """
    found = [
        *_of_answers(stats, destination, now),
        *_of_held(stats, destination, now),
        *_of_queued(stats, destination, now),
        *_of_failed(stats, destination, now),
        *_of_rejected(stats, destination, now),
        *_of_quarantine(stats, destination),
        *_of_silence(stats, destination, now, silence),
        *of_load(stats.load, now),
    ]
    return sorted(found, key=lambda each: LEVELS.index(each.level))


def _of_answers(stats: Stats, destination: Destination, now: float) -> Iterator[Problem]:
    """What the destination's answers say, if messages wait because of them."""
    name = destination.labels.destination
    for kind, title, over in (
        ("failing", f"{name} is not accepting events", f"{name} accepts events again"),
        ("unreachable", f"{name} is not reached", f"{name} is reached again"),
        ("refused", f"{name} refuses a key", f"{name} takes the key again"),
        ("limited", f"{name}'s limit is reached", f"{name} takes more again"),
    ):
        waiting = [each for each in stats.waiting if each.answer and each.answer.kind == kind]
        if not waiting:
            continue
        most = max(waiting, key=lambda each: each.count)
        answers = [each.answer for each in waiting if each.answer]
        since = min(answer.failing_since or answer.answered_at for answer in answers)
        reason = most.answer.reason if most.answer else ""
        count = sum(each.count for each in waiting)
        is_grave = kind == "refused" or (kind != "limited" and now - since >= PASSING)
        yield Problem(
            kind,
            "critical" if is_grave else "notice",
            title if kind == "limited" else f"{title} ({short(reason)})",
            _waits(count, since, now, waiting, destination),
            _what_to_check(reason, kind, destination),
            over,
            count,
            since,
            _accounts(waiting) if kind == "refused" else (),
            f"/events?state=pending&to={destination.name}",
            "pending",
            destination.name,
        )


def _waits(
    count: int, since: float, now: float, waiting: Sequence[Waiting], destination: Destination
) -> str:
    oldest = min(each.oldest for each in waiting)
    end = minute_time(max(oldest + destination.retry.give_up_after, now), now)
    tried = max((each.answer.next_at for each in waiting if each.answer), default=now)
    more = f"tried again at {minute_time(tried, now)}" if tried > now + 60 else "tried again soon"
    return (
        f"{pluralize(count, 'event')} waiting since {minute_time(since, now)}, none lost: {more}, "
        f"until {end} at least."
    )


def _what_to_check(reason: str, kind: str, destination: Destination) -> str:
    if kind in ("failing", "limited"):
        return ""
    _, _, check = reason.partition(": ")
    check = check or f"check {destination.labels.check_key}"
    return f"{check[0].upper()}{check[1:].rstrip('.')}."


def _of_held(stats: Stats, destination: Destination, now: float) -> Iterator[Problem]:
    waiting = [each for each in stats.waiting if each.cause == "held"]
    if not waiting:
        return
    labels, count = destination.labels, stats.states["held"]
    oldest = min(each.oldest for each in waiting)
    yield Problem(
        "held",
        "critical" if now - oldest > HELD else "notice",
        f"No {labels.key} is set for {pluralize(len(waiting), labels.account)}",
        f"{pluralize(count, 'event')} held since {minute_time(oldest, now)}, none lost.",
        f"Set {labels.set_key}, and restart the bridge.",
        f"No event is held any more for want of a {labels.key}",
        count,
        oldest,
        _accounts(waiting),
        f"/events?state=held&to={destination.name}",
    )


def _of_queued(stats: Stats, destination: Destination, now: float) -> Iterator[Problem]:
    """Events that could be sent and are not. They count from when they could: from the repair of
    what kept them, or the start of the deliverer, so that a repair raises no alarm."""
    running = [each.started_at for each in stats.deliverers if each.is_running(now)]
    waiting = [each for each in stats.waiting if each.cause == "queued"]
    if not running or not waiting:
        return
    since = min(
        max(each.due_at, min(running), (each.answer and each.answer.recovered_at) or 0.0)
        for each in waiting
    )
    if now - since <= destination.limits.longest_wait:
        return
    taken = max((each.answer.taken_at or 0.0 for each in waiting if each.answer), default=0.0)
    name, count = destination.labels.destination, sum(each.count for each in waiting)
    is_moving = now - taken < MOVING
    yield Problem(
        "waiting",
        "warning" if is_moving else "critical",
        f"Delivery to {name} is behind" if is_moving else f"Nothing goes to {name}",
        f"The oldest event that could be sent has waited for {long_duration(now - since)}; "
        f"{pluralize(count, 'event')} waiting, none lost.",
        "" if is_moving else "See the log of the deliverer.",
        f"Delivery to {name} has caught up",
        count,
        since,
        page=f"/events?state=pending&to={destination.name}",
    )


def _of_failed(stats: Stats, destination: Destination, now: float) -> Iterator[Problem]:
    issues = [issue for issue in stats.issues if issue.state == "dead"]
    if issues:
        yield Problem(
            "failed",
            "warning",
            f"{pluralize(stats.states['dead'], 'event')} failed: {short(issues[0].reason)}"
            f"{_others(issues)}",
            _first_and_last(issues, now),
            "They are not tried again by themselves: retry or dismiss them.",
            "No failed event is left: they were retried, dismissed, or deleted by age",
            stats.states["dead"],
            min(issue.first_at for issue in issues),
            page=f"/issues?to={destination.name}",
            retries="dead",
            destination=destination.name,
        )


def _of_rejected(stats: Stats, destination: Destination, now: float) -> Iterator[Problem]:
    issues = [issue for issue in stats.issues if issue.state == "quarantined"]
    if issues:
        count = pluralize(stats.states["quarantined"], "webhook")
        why = f", for {len(issues)} reasons" if len(issues) > 1 else ""
        yield Problem(
            "rejected",
            "warning",
            f"{count} from {destination.labels.source} could not be read{why}",
            _first_and_last(issues, now),
            "They are kept: see why, and retry them after an upgrade, or dismiss them.",
            "No rejected webhook is left: they were retried, dismissed, or deleted by age",
            stats.states["quarantined"],
            min(issue.first_at for issue in issues),
            page=f"/issues?to={destination.name}",
            retries="quarantined",
            destination=destination.name,
        )


def _others(issues: Sequence[Issue]) -> str:
    if len(issues) < 2:
        return ""
    return f", and {pluralize(len(issues) - 1, 'other reason')}"


def _first_and_last(issues: Sequence[Issue], now: float) -> str:
    first = minute_time(min(issue.first_at for issue in issues), now)
    last = minute_time(max(issue.last_at for issue in issues), now)
    return f"First {first}, last {last}." if first != last else f"At {first}."


def _of_quarantine(stats: Stats, destination: Destination) -> Iterator[Problem]:
    if is_full(stats.quarantine_bytes):
        yield Problem(
            "quarantine full",
            "critical",
            f"There is no room for more webhooks from {destination.labels.source} that cannot be "
            "read",
            f"They take {MOST_BYTES // 1_000_000} MB, and each new one is answered "
            f"{destination.labels.not_kept}.",
            "If a newer version can read them, upgrade and retry them. A lower "
            "FAILED_RETENTION_DAYS removes the oldest.",
            "There is room again for webhooks that cannot be read",
            page=f"/issues?to={destination.name}",
        )


def _of_silence(
    stats: Stats, destination: Destination, now: float, silence: float | None
) -> Iterator[Problem]:
    labels, last = destination.labels, stats.last_webhook
    if silence is None or last is None or now - last <= silence:
        return
    yield Problem(
        "silence",
        "warning",
        f"No webhook from {labels.source} for {long_duration(now - last)}",
        f"The last one came at {minute_time(last, now)}.",
        f"{labels.check_source[0].upper()}{labels.check_source[1:]}.",
        f"Webhooks from {labels.source} come again",
        since=last,
        page="/setup",
    )


def _accounts(waiting: Sequence[Waiting], most: int = 3) -> tuple[str, ...]:
    """The first few accounts, those with the most messages first."""
    names = [each.account for each in sorted(waiting, key=lambda each: -each.count)]
    if len(names) <= most:
        return tuple(names)
    return (*names[:most], f"and {thousands(len(names) - most)} more")
