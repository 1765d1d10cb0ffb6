"""The keys of a direction's accounts: how each was answered last, and what waits for it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.config.settings import Settings
from app.destination import Destination
from app.direction import Direction
from app.formatting import minute_time, relative_time
from app.monitoring.stats import Quota, Stats
from app.outbox.answers import WORKS, LastAnswer, fingerprint
from app.outbox.reasons import short

Mark = Literal["done", "todo", "wrong", "off"]
"""The state of a step, or of a part of it."""

ANY_OTHER = ""
"""Stands for the accounts without a key of their own."""

SHOWN_CHARACTERS = 4
"""Of a key. It is enough to tell keys apart."""


@dataclass(frozen=True)
class KeyRow:
    """One account, and its key."""

    account: str
    key: str
    """Its first characters; "" if it has none."""
    mark: Mark
    answer: str
    waiting: int


@dataclass(frozen=True)
class KeyTable:
    """The keys of one direction."""

    destination: Destination
    rows: Sequence[KeyRow]
    quotas: Sequence[Quota]

    @property
    def mark(self) -> Mark:
        """That of the worst row."""
        marks = {row.mark for row in self.rows} or {"todo"}
        return next(mark for mark in ("wrong", "todo", "done") if mark in marks)


def secrets_of(direction: Direction, settings: Settings) -> dict[str, str]:
    """Account → key, for the keys that are set for this direction."""
    if direction.destination.name == "segment":
        default = {ANY_OTHER: settings.write_key} if settings.write_key else {}
        return default | dict(settings.write_keys)
    account, token = settings.drip_account_id, settings.drip_api_token
    default = {account: token} if account and token else {}
    return default | dict(settings.drip_api_tokens)


def read_keys(
    destination: Destination, secrets: Mapping[str, str], stats: Stats, now: float
) -> KeyTable:
    """The keys that are set, and the accounts that wait without one."""
    waiting: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for each in stats.waiting:
        if each.cause == "held":
            held[each.account] += each.count
        else:
            waiting[_row_of(each.account, destination, secrets)] += each.count
    rows = [*_keyed(destination, secrets, stats.answers, waiting, now)]
    rows += [_without_key(destination, account, count) for account, count in held.items()]
    return KeyTable(destination, rows, stats.quotas)


def _row_of(account: str, destination: Destination, secrets: Mapping[str, str]) -> str:
    """The account in `secrets` whose key this account's messages are sent with."""
    if account in secrets:
        return account
    key = destination.key_for(account)
    return next((each for each in secrets if destination.key_for(each) == key), ANY_OTHER)


def _keyed(
    destination: Destination,
    secrets: Mapping[str, str],
    answers: Mapping[str, LastAnswer],
    waiting: Mapping[str, int],
    now: float,
) -> Iterator[KeyRow]:
    for account, secret in secrets.items():
        key = destination.key_for(account)
        answer = answers.get(fingerprint(key)) if key else None
        mark, words = _describe(answer, now)
        name = "Any other" if account == ANY_OTHER else account
        yield KeyRow(name, mask_key(secret), mark, words, waiting.get(account, 0))


def _without_key(destination: Destination, account: str, count: int) -> KeyRow:
    words = f"No {destination.labels.key}: set {destination.labels.set_key}"
    return KeyRow(account or "None named", "", "wrong", words, count)


def _describe(answer: LastAnswer | None, now: float) -> tuple[Mark, str]:
    if answer is None:
        return "todo", "Not used yet"
    if answer.kind in WORKS:
        did = "Took events" if answer.kind == "taken" else f"Answered {short(answer.reason)}"
        return "done", f"{did} {relative_time(answer.answered_at, now)}"
    since = minute_time(answer.failing_since or answer.answered_at, now)
    mark: Mark = "todo" if answer.kind == "limited" else "wrong"
    return mark, f"{short(answer.reason)} since {since}"


def mask_key(key: str) -> str:
    """The beginning of a key; nothing of a short one."""
    is_long = len(key) > 2 * SHOWN_CHARACTERS
    return f"{key[:SHOWN_CHARACTERS] if is_long else ''}…"
