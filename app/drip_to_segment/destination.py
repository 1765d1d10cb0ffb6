"""Post one batch to Segment and interpret its answer. No other file posts to Segment."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import requests
from segment.analytics import request as sdk
from segment.analytics.client import MAX_MSG_SIZE

from app.clients.failure import what_to_check
from app.clients.headers import seconds_to_wait
from app.clients.session import DeadlineSession
from app.destination import (
    BatchRejected,
    Forbidden,
    InvalidKey,
    Labels,
    Limits,
    RetryableError,
    RetryPolicy,
    SendError,
    Unreachable,
)

CONNECT_TIMEOUT = 4.0
READ_TIMEOUT = 10.0
WHOLE_EXCHANGE = 12.0
"""Seconds. The last one limits an answer that comes byte by byte. A lease lasts longer."""

LATER = frozenset({408, 425, 429, 460})
"""Answers after which the batch is tried again, beside 5xx: those of the SDK's own consumer
(docs/development/facts.md § 3), and 425 Too Early."""

NEVER = frozenset({501, 505})
"""The 5xx after which another try does not help."""

CULPRIT_INSIDE = frozenset({400, 413, 422})
"""Segment will not take something in the batch: it is too large, or not JSON as Segment wants
it."""

ADDRESS_WRONG = frozenset({404, 407})
"""No such page, or a proxy that wants a login: no event is at fault. Any other 4xx may come from a
firewall that rejects the content of an event."""

ASKS_TO_WAIT = ("Retry-After", "X-RateLimit-Reset")
"""Segment's 429 has both headers (docs/development/facts.md § 2)."""

WORDS_KEPT = 500
"""Characters of Segment's answer that are kept with an event."""

_NO_CALLS = '"batch": []'
"""How an empty batch looks in the SDK's envelope."""


class _Session(DeadlineSession):
    """A session that puts the kept payloads into the SDK's envelope, byte for byte.

    The SDK would parse and encode each of them again, which is four fifths of the time of sending.
    """

    payloads: Sequence[str] = ()

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[Any, Any] = {}

    def merge_environment_settings(self, url: Any, *args: Any) -> Any:
        """Look up proxies and certificates in the environment once for each URL. `requests` would
        do so for each batch, which is a fifth of the time of sending."""
        if url not in self._environment:
            self._environment[url] = super().merge_environment_settings(url, *args)
        return dict(self._environment[url])

    def post(
        self, url: Any, data: Any = None, json: Any = None, **kwargs: Any
    ) -> requests.Response:
        """Called by the SDK with an empty batch in its envelope."""
        before, empty, after = data.partition(_NO_CALLS)
        if not empty:
            raise ValueError("not the envelope that this version of the SDK makes")
        batch = f'"batch": [{", ".join(self.payloads)}]'
        return super().post(url, before + batch + after, json, **kwargs)


_session = _Session()
sdk._session = _session  # noqa: SLF001 - the SDK has no other way to set it


LABELS = Labels(
    source="Drip",
    destination="Segment",
    account="Drip account",
    key="write key",
    set_key="SEGMENT_WRITE_KEY, or the account's own in SEGMENT_WRITE_KEYS",
    delivered=(
        "Segment answered 200. Not in Segment? A 200 does not mean accepted: look up the "
        "messageId in the source's Debugger."
    ),
    check_key=(
        "SEGMENT_WRITE_KEY, SEGMENT_WRITE_KEYS, SEGMENT_REGION, SEGMENT_HOST, and any proxy or "
        "firewall between"
    ),
    sent_again="Drip sends them again for 3 days.",
    check_source="see whether the webhook is still there and on: flask drip check",
)


class SegmentDestination:
    """Segment's HTTP tracking API, as a `Destination`."""

    name = "segment"
    limits = Limits(
        # as many as the SDK's own consumer sends (docs/development/facts.md § 3)
        most_messages=100,
        # with separators and envelope, a body then stays under 475,000 bytes
        most_bytes=474_000,
        largest_message=MAX_MSG_SIZE,
    )
    # as long as Drip itself sends again
    retry = RetryPolicy(give_up_after=72 * 3600.0)
    # Segment recognises a message id for at least so long (docs/development/facts.md § 2)
    dedupe_window = 24 * 3600.0
    labels = LABELS

    def __init__(self, host: str, write_key: str | None, write_keys: Mapping[str, str]) -> None:
        self._host = host
        self._write_key = write_key
        self._write_keys = write_keys

    def key_for(self, account: str) -> str | None:
        """The write key for the events of this Drip account, or None if none is set."""
        return self._write_keys.get(account, self._write_key)

    def send(self, key: str, payloads: Sequence[str]) -> str:
        """Post the payloads as one batch with one write key. On return Segment has answered 2xx.
        It never takes a part of a message, so there is nothing to note.

        Raises `RetryableError`, `BatchRejected`, `Forbidden`, `InvalidKey` or `Unreachable`.
        """
        _session.payloads = payloads
        try:
            with _session.deadline(WHOLE_EXCHANGE):
                sdk.post(key, self._host, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), batch=[])
        except sdk.APIError as error:
            # "unknown" is the SDK's own word for an answer that has no code
            code = "" if error.code == "unknown" else f"{error.code}: "
            words = _without(key, f"{code}{error.message}")[:WORDS_KEPT]
            refusal = answer_to_error(error.status, words, error.response.headers)
            raise refusal.with_status(error.status) from None
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            # Segment may have taken the batch all the same; it drops the repeat by its message ids
            reason = f"no answer ({type(error).__name__})"
            check = what_to_check(error, "SEGMENT_HOST")
            raise (Unreachable(f"{reason}: {check}") if check else RetryableError(reason)) from None
        return ""


def _without(key: str, words: str) -> str:
    basic = b64encode(f"{key}:".encode()).decode()
    return words.replace(key, "(write key)").replace(basic, "(write key)")


def answer_to_error(status: int, words: str, headers: Mapping[str, Any]) -> SendError:
    """The error for an answer other than 2xx: it decides what becomes of the batch."""
    answer = f"HTTP {status}"
    if status in LATER or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in NEVER):
        asked = seconds_to_wait(headers, *ASKS_TO_WAIT)
        return RetryableError(answer, words, asked=asked)
    if status in CULPRIT_INSIDE:
        return BatchRejected(answer, words)
    if status == HTTPStatus.UNAUTHORIZED:
        return InvalidKey(f"{answer}: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS", words)
    if 400 <= status < 500 and status not in ADDRESS_WRONG:
        check = (
            "SEGMENT_WRITE_KEY, SEGMENT_WRITE_KEYS, and any firewall between that minds an event"
        )
        return Forbidden(f"{answer}: check {check}. Its words are kept with the event", words)
    return InvalidKey(f"{answer}: check SEGMENT_HOST, SEGMENT_REGION and any proxy between", words)
