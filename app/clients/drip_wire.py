"""Exchange requests with Drip's REST API over one connection that is kept alive."""

import re
import time
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.auth import HTTPBasicAuth

from app.clients.drip_api import HEADERS, Answer, read_faults, redact
from app.clients.failure import what_to_check
from app.clients.headers import seconds_to_wait
from app.clients.session import DeadlineSession
from app.destination import RetryableError, Unreachable

CONNECT_TIMEOUT = 4.0
READ_TIMEOUT = 10.0
WHOLE_EXCHANGE = 12.0
"""Seconds. The last one limits an answer that comes byte by byte."""

WORDS_KEPT = 500
"""Characters of an answer that are kept with a message."""


class DripWire:
    """For one thread at a time, and for any number of API tokens."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._session = DeadlineSession()
        self._session.headers.update(HEADERS)
        # a cookie that came with one token must not go out with another
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def exchange(
        self, token: str, method: str, path: str, body: str | None, until: float
    ) -> Answer:
        """Send a request, with a body in JSON if there is one, and return the answer. `until` is
        a monotonic time at which the exchange is over in any case.

        Raises `RetryableError` if no whole answer came, and `Unreachable` if none can come.
        """
        left = min(WHOLE_EXCHANGE, until - time.monotonic())
        try:
            with self._session.deadline(left):
                response = self._session.request(
                    method,
                    f"{self._api}{path}",
                    data=body,
                    headers={"Content-Type": "application/json"} if body else None,
                    auth=HTTPBasicAuth(token, ""),
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                )
        except (requests.RequestException, OSError, ValueError) as error:
            reason = f"no answer ({type(error).__name__})"
            check = what_to_check(error, "DRIP_API_URL")
            raise (Unreachable(f"{reason}: {check}") if check else RetryableError(reason)) from None
        return _to_answer(response, token)


def _to_answer(response: requests.Response, token: str) -> Answer:
    faults = read_faults(response.content)
    said = "; ".join(
        ": ".join(filter(None, (fault.code, fault.attribute, fault.message))) for fault in faults
    )
    words = redact(said or response.content.decode(errors="replace"), token)[:WORDS_KEPT]
    remaining = response.headers.get("X-RateLimit-Remaining", "")
    return Answer(
        response.status_code,
        response.content,
        faults,
        words,
        seconds_to_wait(response.headers),
        int(remaining) if re.fullmatch(r"[0-9]{1,9}", remaining) else None,
    )
