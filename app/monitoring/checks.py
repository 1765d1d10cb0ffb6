"""What is wrong, from the figures: each in a sentence that says what to do. Pure."""

from app.formatting import long_duration, pluralize
from app.monitoring.stats import Stats
from app.outbox.quarantine import MOST_BYTES, is_full

OLDEST = 300.0
"""Seconds that an event may wait."""

NOT_READY = ("waiting", "held", "paused")
"""Those for which events do not flow; the others have happened, and flow goes on."""

UNKEPT = (
    "Webhooks cannot be kept, and each is answered 429: see whether the database can be written "
    "(its disk, its role's rights, whether it is read-only) and what the log says. Drip sends them "
    "again for 3 days."
)
UNWRITTEN = (
    "The database cannot be written: see its disk, its role's rights, whether it is read-only, and "
    "what the log says."
)


def failed_checks(stats: Stats, now: float, silence: float | None = None) -> dict[str, str]:
    """A name for each → the sentence. `silence` is how many seconds without a webhook are too many;
    None where nobody minds.
    """
    return {
        **_of_flow(stats, now),
        **_of_the_last_hour(stats),
        **_of_silence(stats, now, silence),
    }


def _of_flow(stats: Stats, now: float) -> dict[str, str]:
    found = {}
    age = 0.0 if stats.oldest_pending is None else now - stats.oldest_pending
    held = stats.states["held"]
    if age > OLDEST and not stats.oldest_is_held:
        found["waiting"] = (
            f"The oldest event has waited for {long_duration(age)}: see whether a deliverer runs "
            "(DELIVER_IN_WEB, or flask --app wsgi deliver) and what the log says of Segment."
        )
    if age > OLDEST and held:
        since = f", the oldest for {long_duration(age)}" if stats.oldest_is_held else ""
        found["held"] = (
            f"{_are(held, 'event')} held{since}, because no write key is set for them: set "
            "SEGMENT_WRITE_KEY, or their account's in SEGMENT_WRITE_KEYS."
        )
    if stats.pauses:
        found["paused"] = (
            f"The events of {_are(len(stats.pauses), 'Drip account')} paused, because Segment "
            "refused the key or is not reached: check SEGMENT_WRITE_KEY, SEGMENT_WRITE_KEYS, "
            "SEGMENT_REGION, SEGMENT_HOST, and any proxy or firewall between. The log says which."
        )
    return found


def _of_the_last_hour(stats: Stats) -> dict[str, str]:
    found = {}
    if died := stats.died_lately:
        found["dead"] = (
            f"In the last hour {pluralize(died, 'event')} died: Segment will not take such, or "
            "took nothing for 72 hours. Why: flask --app wsgi events --state dead"
        )
    if quarantined := stats.quarantined_lately:
        found["quarantined"] = (
            f"In the last hour {pluralize(quarantined, 'webhook')} could not be read, and went to "
            "quarantine. Why: flask --app wsgi events --state quarantined"
        )
    if is_full(stats.quarantine_bytes):
        found["quarantine full"] = (
            f"Quarantine has its {MOST_BYTES // 1_000_000} MB, so a webhook that cannot be read is "
            "answered 429. Why: flask --app wsgi events --state quarantined. Where a newer version "
            "can read them: flask --app wsgi requeue --quarantined. A lower FAILED_RETENTION_DAYS "
            "removes the oldest."
        )
    return found


def _of_silence(stats: Stats, now: float, silence: float | None) -> dict[str, str]:
    if silence is None or stats.last_webhook is None or now - stats.last_webhook <= silence:
        return {}
    quiet = long_duration(now - stats.last_webhook)
    return {
        "silence": f"No event came for {quiet}: see whether the webhook is still there and on: "
        "flask --app wsgi drip check"
    }


def _are(count: int, what: str) -> str:
    """`1 event is`, `2 events are`."""
    return f"{pluralize(count, what)} {'is' if count == 1 else 'are'}"
