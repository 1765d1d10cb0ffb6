"""One batch over the wire to Segment, and what its answer means. The only file that posts."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import requests
from segment.analytics import request as sdk
from segment.analytics.client import MAX_MSG_SIZE
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from app.clients.failure import what_to_check
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
"""Seconds. The last one bounds an answer that comes byte by byte; the outbox's lease is longer."""

LATER = frozenset({408, 425, 429, 460})
"""With 5xx, what the SDK's own consumer tries again (docs/facts.md § 3), and 425 Too Early."""

NEVER = frozenset({501, 505})
"""The 5xx that another try does not mend."""

CULPRIT_INSIDE = frozenset({400, 413, 422})
"""Something in the batch is what Segment will not take: too big, or not JSON to its taste."""

ADDRESS_WRONG = frozenset({404, 407})
"""No such page, and a proxy that wants a login: no event is at fault. Any other 4xx may be a
firewall's, for what an event says."""

WORDS_KEPT = 500
"""Characters of Segment's answer that are kept with an event."""

_NO_CALLS = '"batch": []'
"""What the SDK makes of a batch that is empty."""


class _Session(DeadlineSession):
    """Puts the calls into the SDK's envelope as they were kept.

    The SDK would write each of them anew, for which each had to be read: four fifths of what
    sending takes.
    """

    payloads: Sequence[str] = ()

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[Any, Any] = {}

    def merge_environment_settings(self, url: Any, *given: Any) -> Any:
        """Proxies and certificates of the environment: `requests` would look for them with each
        batch, a fifth of what sending takes."""
        if url not in self._environment:
            self._environment[url] = super().merge_environment_settings(url, *given)
        return dict(self._environment[url])

    def post(
        self, url: Any, data: Any = None, json: Any = None, **kwargs: Any
    ) -> requests.Response:
        """Called by the SDK."""
        before, empty, behind = data.partition(_NO_CALLS)
        if not empty:
            raise ValueError("not the envelope that this version of the SDK makes")
        batch = f'"batch": [{", ".join(self.payloads)}]'
        return super().post(url, before + batch + behind, json, **kwargs)


_session = _Session()
sdk._session = _session  # noqa: SLF001 - the SDK has no other way to hand it one


LABELS = Labels(
    source="Drip",
    destination="Segment",
    account="Drip account",
    no_key=(
        "no write key is set for them: set SEGMENT_WRITE_KEY, or their account's in "
        "SEGMENT_WRITE_KEYS"
    ),
    check_key=(
        "SEGMENT_WRITE_KEY, SEGMENT_WRITE_KEYS, SEGMENT_REGION, SEGMENT_HOST, and any proxy or "
        "firewall between"
    ),
    sent_again="Drip sends them again for 3 days.",
    check_source="see whether the webhook is still there and on: flask --app wsgi drip check",
)


class SegmentDestination:
    """Segment's HTTP tracking API."""

    name = "segment"
    limits = Limits(
        # the SDK's own consumer sends as many (docs/facts.md § 3)
        most_messages=100,
        # with the separators and the envelope around them a body stays under 475,000
        most_bytes=474_000,
        largest_message=MAX_MSG_SIZE,
    )
    # as long as Drip itself would have gone on sending
    retry = RetryPolicy(give_up_after=72 * 3600.0)
    # so long is Segment sure to know a message id that it took (docs/facts.md § 2)
    dedupe_window = 24 * 3600.0
    labels = LABELS

    def __init__(self, host: str, write_key: str | None, write_keys: Mapping[str, str]) -> None:
        self._host = host
        self._write_key = write_key
        self._write_keys = write_keys

    def key_for(self, account: str) -> str | None:
        """The write key of the source that this Drip account's events belong to, if one is set."""
        return self._write_keys.get(account, self._write_key)

    def send(self, key: str, payloads: Sequence[str]) -> None:
        """Post the calls as one batch with one write key; on return Segment has answered 2xx.

        Raises `RetryableError`, `BatchRejected`, `Forbidden`, `InvalidKey` or `Unreachable`.
        """
        _session.payloads = payloads
        try:
            with _session.deadline(WHOLE_EXCHANGE):
                sdk.post(key, self._host, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), batch=[])
        except sdk.APIError as error:
            words = _without(key, f"{error.code}: {error.message}")[:WORDS_KEPT]
            raise answer_to_error(error.status, words, error.response.headers) from None
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            # no answer, or none that can be read: Segment may have taken the batch, and drops the
            # repeat by its message ids
            said = f"no answer ({type(error).__name__})"
            check = what_to_check(error, "SEGMENT_HOST")
            raise (Unreachable(f"{said}: {check}") if check else RetryableError(said)) from None


def _without(key: str, words: str) -> str:
    basic = b64encode(f"{key}:".encode()).decode()
    return words.replace(key, "(write key)").replace(basic, "(write key)")


def answer_to_error(status: int, words: str, headers: Mapping[str, Any]) -> SendError:
    """What any answer but 2xx means for the events of the batch."""
    said = f"HTTP {status}"
    if status in LATER or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in NEVER):
        return RetryableError(said, words, asked=_seconds_asked(headers))
    if status in CULPRIT_INSIDE:
        return BatchRejected(said, words)
    if status == HTTPStatus.UNAUTHORIZED:
        return InvalidKey(f"{said}: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS", words)
    if 400 <= status < 500 and status not in ADDRESS_WRONG:
        check = (
            "SEGMENT_WRITE_KEY, SEGMENT_WRITE_KEYS, and any firewall between that minds an event"
        )
        return Forbidden(f"{said}: check {check}. Its words are kept with the event", words)
    return InvalidKey(f"{said}: check SEGMENT_HOST, SEGMENT_REGION and any proxy between", words)


def _seconds_asked(headers: Mapping[str, Any]) -> float | None:
    """Segment's 429 carries both headers, each in seconds to wait (docs/facts.md § 2)."""
    for name in ("Retry-After", "X-RateLimit-Reset"):
        try:
            return float(Retry().parse_retry_after(headers[name]))
        except (KeyError, InvalidHeader, ValueError, OverflowError):
            continue
    return None
