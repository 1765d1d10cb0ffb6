"""Check the stats: each failed check has a sentence with what is wrong and what to do. Pure."""

from app.destination import Destination, Labels
from app.formatting import long_duration, pluralize
from app.monitoring.stats import Stats
from app.outbox.quarantine import MOST_BYTES, is_full

OLDEST_HELD = 300.0
"""Seconds that a message may wait for a key to be set."""

NOT_READY = ("waiting", "held", "paused")
"""Checks that fail while messages do not flow. The others report what has happened."""

UNWRITTEN = (
    "The database cannot be written: see its disk, its role's rights, whether it is read-only, and "
    "what the log says."
)


def unkept(labels: Labels) -> str:
    """The sentence for a process that could not keep the latest webhook."""
    return (
        f"Webhooks cannot be kept, and each is answered {labels.not_kept}: see whether the "
        "database can be written (its disk, its role's rights, whether it is read-only) and what "
        f"the log says. {labels.sent_again}"
    )


def failed_checks(
    stats: Stats,
    destination: Destination,
    now: float,
    silence: float | None = None,
    option: str = "",
) -> dict[str, str]:
    """The name of each check that failed → what is wrong and what to do.

    `silence` is how many seconds without a webhook are too many; None for no such check. `option`
    limits commands to this destination.
    """
    labels = destination.labels
    return {
        **_of_flow(stats, destination, now),
        **_of_the_last_hour(stats, destination, option),
        **_of_silence(stats, labels, now, silence),
    }


def _of_flow(stats: Stats, destination: Destination, now: float) -> dict[str, str]:
    failed = {}
    labels = destination.labels
    age = 0.0 if stats.oldest_pending is None else now - stats.oldest_pending
    held = stats.states["held"]
    if age > destination.limits.longest_wait and not stats.oldest_is_held:
        failed["waiting"] = (
            f"The oldest event has waited for {long_duration(age)}: see whether a deliverer runs "
            "(DELIVER_IN_WEB, or flask deliver) and what the log says of "
            f"{labels.destination}."
        )
    if age > OLDEST_HELD and held:
        since = f", the oldest for {long_duration(age)}" if stats.oldest_is_held else ""
        failed["held"] = f"{_number(held, 'event')} held{since}, because {labels.no_key}."
    if stats.pauses:
        failed["paused"] = (
            f"The events of {_number(len(stats.pauses), labels.account)} paused, because "
            f"{labels.destination} refused the key or is not reached: check {labels.check_key}. "
            "The log says which."
        )
    return failed


def _of_the_last_hour(stats: Stats, destination: Destination, option: str) -> dict[str, str]:
    failed = {}
    labels, patience = destination.labels, long_duration(destination.retry.give_up_after)
    events = f"flask events{option} --state"
    if died := stats.died_lately:
        failed["dead"] = (
            f"In the last hour {pluralize(died, 'event')} died: {labels.destination} will not take "
            f"such, or took nothing for {patience}. Why: {events} dead"
        )
    if quarantined := stats.quarantined_lately:
        failed["quarantined"] = (
            f"In the last hour {pluralize(quarantined, 'webhook')} could not be read, and went to "
            f"quarantine. Why: {events} quarantined"
        )
    if is_full(stats.quarantine_bytes):
        failed["quarantine full"] = (
            f"Quarantine has its {MOST_BYTES // 1_000_000} MB, so a webhook that cannot be read is "
            f"answered {labels.not_kept}. Why: {events} quarantined. Where a newer version can "
            f"read them: flask requeue{option} --quarantined. A lower "
            "FAILED_RETENTION_DAYS removes the oldest."
        )
    return failed


def _of_silence(stats: Stats, labels: Labels, now: float, silence: float | None) -> dict[str, str]:
    if silence is None or stats.last_webhook is None or now - stats.last_webhook <= silence:
        return {}
    quiet = long_duration(now - stats.last_webhook)
    return {"silence": f"No event came for {quiet}: {labels.check_source}"}


def _number(count: int, what: str) -> str:
    return f"{pluralize(count, what)} {'is' if count == 1 else 'are'}"
