"""Checks over the stats: what is wrong, each in a sentence that says what to do. Pure."""

from app.destination import Labels
from app.monitoring.stats import Stats
from app.outbox.quarantine import MOST_BYTES, is_full

OLDEST = 300.0
"""Seconds that an event may wait."""

NOT_READY = ("waiting", "held", "paused")
"""Those for which events do not flow; the others have happened, and flow goes on."""

UNWRITTEN = (
    "The database cannot be written: see its disk, its role's rights, whether it is read-only, and "
    "what the log says."
)


def unkept(labels: Labels) -> str:
    """What this process knows by itself: it could not keep the latest webhook."""
    return (
        "Webhooks cannot be kept, and each is answered 429: see whether the database can be "
        "written (its disk, its role's rights, whether it is read-only) and what the log says. "
        f"{labels.sent_again}"
    )


def failed_checks(
    stats: Stats, labels: Labels, now: float, silence: float | None = None
) -> dict[str, str]:
    """The name of each check that failed → what is wrong and what to do.

    `silence` is how many seconds without a webhook are too many; None if nobody minds.
    """
    return {
        **_of_flow(stats, labels, now),
        **_of_the_last_hour(stats, labels),
        **_of_silence(stats, labels, now, silence),
    }


def _of_flow(stats: Stats, labels: Labels, now: float) -> dict[str, str]:
    found = {}
    age = 0.0 if stats.oldest_pending is None else now - stats.oldest_pending
    held = stats.states["held"]
    if age > OLDEST and not stats.oldest_is_held:
        found["waiting"] = (
            f"The oldest event has waited for {_span(age)}: see whether a deliverer runs "
            "(DELIVER_IN_WEB, or flask --app wsgi deliver) and what the log says of "
            f"{labels.destination}."
        )
    if age > OLDEST and held:
        since = f", the oldest for {_span(age)}" if stats.oldest_is_held else ""
        found["held"] = f"{_number(held, 'event')} held{since}, because {labels.no_key}."
    if stats.pauses:
        found["paused"] = (
            f"The events of {_number(len(stats.pauses), labels.account)} paused, because "
            f"{labels.destination} refused the key or is not reached: check {labels.check_key}. "
            "The log says which."
        )
    return found


def _of_the_last_hour(stats: Stats, labels: Labels) -> dict[str, str]:
    found = {}
    if died := stats.died_lately:
        found["dead"] = (
            f"In the last hour {_count(died, 'event')} died: {labels.destination} will not take "
            "such, or took nothing for 72 hours. Why: flask --app wsgi events --state dead"
        )
    if quarantined := stats.quarantined_lately:
        found["quarantined"] = (
            f"In the last hour {_count(quarantined, 'webhook')} could not be read, and went to "
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


def _of_silence(stats: Stats, labels: Labels, now: float, silence: float | None) -> dict[str, str]:
    if silence is None or stats.last_webhook is None or now - stats.last_webhook <= silence:
        return {}
    quiet = _span(now - stats.last_webhook)
    return {"silence": f"No event came for {quiet}: {labels.check_source}"}


def _span(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"


def _count(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _number(count: int, what: str) -> str:
    return f"{_count(count, what)} {'is' if count == 1 else 'are'}"
