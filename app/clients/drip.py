"""A client for the part of Drip's REST API that sets up webhooks (docs/facts.md § 1).

No message that it raises contains the API token or a webhook's token.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus

import requests
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from app.clients.failure import what_to_check
from app.clients.session import DeadlineSession
from app.version import VERSION

API = "https://api.getdrip.com"

USER_AGENT = f"drip-segment-bridge/{VERSION}"

OPERATION_TIMEOUT = 10.0
WHOLE_EXCHANGE = 20.0
"""Seconds: for each socket operation, and for a whole request."""

REQUESTS_AN_HOUR = "3600"
"""Drip's documented limit, used if an answer has no `X-RateLimit-Limit` (docs/facts.md § 1)."""

QUOTED_CHARACTERS = 300
"""The most of Drip's own error text that a message repeats."""

WHERE_THE_TOKEN_IS = "in Drip's User Settings: https://www.getdrip.com/user/edit"  # noqa: S105
WHERE_THE_ACCOUNT_IS = "the number in the address of Drip's pages: https://www.getdrip.com/9999999"

NEXT_STEP = {
    "GET": "Run the command again later.",
    "POST": "Whether the webhook was created is not known. Run the command again: it looks first.",
    "DELETE": "Whether the webhook was deleted is not known.",
}
"""What to do after no answer, or one that leaves open what happened."""


class DripError(Exception):
    """Drip did not do what was asked. The message says in one line what to do."""


@dataclass(frozen=True)
class Webhook:
    """One of the account's webhooks, as Drip describes it."""

    id: str
    post_url: str = field(repr=False)
    """"" if Drip gave none."""
    events: frozenset[str]
    includes_received_email: bool


class Drip:
    """Manage the webhooks of one account. Each method raises `DripError`.

    Drip may quote a webhook's URL in an error, so `secrets` are removed from messages, as is the
    API token.
    """

    def __init__(
        self, account_id: str, api_token: str, secrets: Sequence[str] = (), api: str = API
    ) -> None:
        self._account_id = account_id
        self._api_token = api_token
        self._secrets = tuple(secrets)
        self._webhooks_url = f"{api}/v2/{account_id}/webhooks"

    def webhooks(self) -> list[Webhook]:
        """List all of the account's. Drip documents no pagination."""
        return self._to_webhooks(self._request("GET", self._webhooks_url))

    def create(self, post_url: str, events: Iterable[str]) -> Webhook:
        """Create a webhook for these events and `received_email`, and return it as Drip made it."""
        webhook = {"post_url": post_url, "include_received_email": True, "events": list(events)}
        response = self._request("POST", self._webhooks_url, {"webhooks": [webhook]})
        created = self._to_webhooks(response)
        if not created:
            raise _unexpected_answer(response)
        return created[0]

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook. It is no error if it is gone already."""
        self._request("DELETE", f"{self._webhooks_url}/{webhook_id}", accept=HTTPStatus.NOT_FOUND)

    def _request(
        self, method: str, url: str, body: Any = None, accept: int = HTTPStatus.OK
    ) -> requests.Response:
        """Send a request. `accept` is a status that counts as success beside 2xx."""
        with DeadlineSession() as session:
            session.auth = (self._api_token, "")
            session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
            try:
                with session.deadline(WHOLE_EXCHANGE):
                    response = session.request(method, url, json=body, timeout=OPERATION_TIMEOUT)
            except (requests.RequestException, OSError, ValueError) as error:
                raise _no_answer(method, error) from None
        if not (200 <= response.status_code < 300 or response.status_code == accept):
            raise DripError(self._explain(response))
        return response

    def _to_webhooks(self, response: requests.Response) -> list[Webhook]:
        try:
            answer = _Answer().load(response.json())
        except (ValidationError, ValueError, RecursionError):
            raise _unexpected_answer(response) from None
        return [_to_webhook(webhook) for webhook in answer["webhooks"]]

    def _explain(self, response: requests.Response) -> str:
        """Return what an answer other than 2xx means, and what to do."""
        status = response.status_code
        next_step = NEXT_STEP[response.request.method or "GET"]
        reasons = self._reasons(response)
        if 300 <= status < 400:
            return (
                f"A redirect came in place of Drip's answer (HTTP {status}). It was not followed, "
                "for it would carry the API token elsewhere. Look for a proxy in between."
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"Drip is out of order (HTTP {status}{reasons}). {next_step}"
        return self._explain_documented(response, reasons) or (
            f"Drip refused for a reason that this version does not know (HTTP {status}{reasons}). "
            "Look for a proxy in between, and for a newer version of the bridge."
        )

    def _explain_documented(self, response: requests.Response, reasons: str) -> str | None:
        """Return the message for a 4xx that Drip documents, or None."""
        return {
            401: f"Drip does not know this API token. Set DRIP_API_TOKEN to the one "
            f"{WHERE_THE_TOKEN_IS}",
            403: f"The user whose token DRIP_API_TOKEN is may not manage the webhooks of account "
            f"{self._account_id} (HTTP 403{reasons}). Use the token of one of its owners or "
            "admins, and check DRIP_ACCOUNT_ID.",
            404: f"Drip finds no account {self._account_id} for this API token "
            f"(HTTP 404{reasons}). Set DRIP_ACCOUNT_ID to {WHERE_THE_ACCOUNT_IS}",
            422: f"Drip does not take this webhook (HTTP 422{reasons}). Check that BASE_URL is the "
            "public address of the bridge.",
            429: f"Drip takes no more requests for now: {_hourly_limit(response)} an hour are "
            f"allowed. Run the command again {_retry_time(response)}.",
        }.get(response.status_code)

    def _reasons(self, response: requests.Response) -> str:
        """Return Drip's reasons, without secrets, or "" if it gave none."""
        try:
            errors = _Refusal().load(response.json())["errors"]
        except (ValidationError, ValueError, RecursionError):
            return ""
        reasons = self._redact("; ".join(filter(None, map(_reason, errors))))
        shown = "".join(letter for letter in reasons if letter.isprintable())
        return f": {shown[:QUOTED_CHARACTERS]}" if shown else ""

    def _redact(self, text: str) -> str:
        basic = b64encode(f"{self._api_token}:".encode()).decode()
        for secret in (basic, self._api_token, *self._secrets):
            for encoded in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = re.sub(re.escape(encoded), "…", text, flags=re.IGNORECASE)
        # a URL may be cut short, and a token with it
        return re.sub(r"\w+://\S*", "(URL)", text)


class _Id(fields.String):
    """An id as a number or text. It becomes part of a URL, so it may have no slash and no dot."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(value) if isinstance(value, int) else value
        id_: str = super()._deserialize(text, *args, **kwargs)
        validate.Regexp(r"[\w-]+\Z", re.ASCII)(id_)
        return id_


class _Webhook(Schema):
    class Meta:
        unknown = INCLUDE

    id = _Id(required=True)
    post_url = fields.String(load_default="", allow_none=True)
    events = fields.List(fields.String(), load_default=list, allow_none=True)
    include_received_email = fields.Boolean(load_default=False, allow_none=True)


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE

    webhooks = fields.List(fields.Nested(_Webhook), required=True)


class _Refusal(Schema):
    class Meta:
        unknown = EXCLUDE

    errors = fields.List(fields.Dict(), required=True)


def _to_webhook(values: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=values["id"],
        post_url=values["post_url"] or "",
        events=frozenset(values["events"] or ()),
        includes_received_email=bool(values["include_received_email"]),
    )


def _reason(error: Mapping[Any, Any]) -> str:
    parts = (error.get("attribute"), error.get("message") or error.get("code"))
    return ": ".join(part for part in parts if isinstance(part, str) and part)


def _hourly_limit(response: requests.Response) -> str:
    limit = response.headers.get("X-RateLimit-Limit", "")
    return limit if re.fullmatch(r"[0-9]{1,9}", limit) else REQUESTS_AN_HOUR


def _retry_time(response: requests.Response) -> str:
    """Return when to try again. Drip documents no `Retry-After`, and usually sends none."""
    try:
        seconds = Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, InvalidHeader, ValueError, OverflowError):
        return "later: within the hour there is room again"
    return f"in {seconds:.0f} seconds"


def _no_answer(method: str, error: Exception) -> DripError:
    if isinstance(error, requests.Timeout | TimeoutError):
        return DripError(f"Drip did not answer in time. {NEXT_STEP[method]}")
    check = what_to_check(error, "the network") or "check the network and any proxy in between"
    return DripError(
        f"No whole answer came from Drip ({type(error).__name__}): {check}. {NEXT_STEP[method]}"
    )


def _unexpected_answer(response: requests.Response) -> DripError:
    return DripError(
        f"Drip's answer (HTTP {response.status_code}) is not what its documentation describes. "
        "Look for a proxy in between, and for a newer version of the bridge. "
        + NEXT_STEP[response.request.method or "GET"]
    )
