"""Drip's REST API, as far as setting up a webhook needs it (docs/facts.md § 1).

The only file that talks to Drip. Nothing it says holds the API token or a webhook's token.
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
"""Seconds: for each step of a request, and for all of it."""

REQUESTS_AN_HOUR = "3600"
"""docs/facts.md § 1; where Drip sends its `X-RateLimit-Limit`, that one counts."""

WORDS_QUOTED = 300
"""Characters of what Drip says that an error repeats."""

WHERE_THE_TOKEN_IS = "in Drip's User Settings: https://www.getdrip.com/user/edit"  # noqa: S105
WHERE_THE_ACCOUNT_IS = "the number in the address of Drip's pages: https://www.getdrip.com/9999999"

WHAT_THEN = {
    "GET": "Run the command again later.",
    "POST": "Whether the webhook was created is not known. Run the command again: it looks first.",
    "DELETE": "Whether the webhook was deleted is not known.",
}
"""After an answer that does not tell, or none."""


class DripError(Exception):
    """Drip did not do what was asked; the message says in one line what to do."""


@dataclass(frozen=True)
class Webhook:
    """One of the account's webhooks, as Drip tells of it."""

    id: str
    post_url: str = field(repr=False)
    """"" if Drip gave none."""
    events: frozenset[str]
    includes_received_email: bool


class Drip:
    """The webhooks of one account. Each method raises `DripError`.

    `secrets` are what no message may repeat, beside the API token: Drip may quote a webhook's URL.
    """

    def __init__(
        self, account_id: str, api_token: str, secrets: Sequence[str] = (), api: str = API
    ) -> None:
        self._account_id = account_id
        self._api_token = api_token
        self._secrets = tuple(secrets)
        self._webhooks_url = f"{api}/v2/{account_id}/webhooks"

    def webhooks(self) -> list[Webhook]:
        """All of the account's: Drip documents no pages."""
        return self._to_webhooks(self._ask("GET", self._webhooks_url))

    def create(self, post_url: str, events: Iterable[str]) -> Webhook:
        """Have these events posted there, `received_email` too. The webhook as Drip made it."""
        wanted = {"post_url": post_url, "include_received_email": True, "events": list(events)}
        response = self._ask("POST", self._webhooks_url, {"webhooks": [wanted]})
        created = self._to_webhooks(response)
        if not created:
            raise _unexpected(response)
        return created[0]

    def delete(self, webhook_id: str) -> None:
        """Also where it was gone before."""
        self._ask("DELETE", f"{self._webhooks_url}/{webhook_id}", fine=HTTPStatus.NOT_FOUND)

    def _ask(
        self, method: str, url: str, body: Any = None, fine: int = HTTPStatus.OK
    ) -> requests.Response:
        """`fine` is a status that will do beside those that say so."""
        with DeadlineSession() as session:
            # set here, or requests would take ~/.netrc's
            session.auth = (self._api_token, "")
            session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
            try:
                with session.deadline(WHOLE_EXCHANGE):
                    response = session.request(method, url, json=body, timeout=OPERATION_TIMEOUT)
            except (requests.RequestException, OSError, ValueError) as error:
                raise _no_answer(method, error) from None
        if not (200 <= response.status_code < 300 or response.status_code == fine):
            raise DripError(self._refusal(response))
        return response

    def _to_webhooks(self, response: requests.Response) -> list[Webhook]:
        try:
            found = _Answer().load(response.json())
        except (ValidationError, ValueError, RecursionError):
            raise _unexpected(response) from None
        return [_to_webhook(webhook) for webhook in found["webhooks"]]

    def _refusal(self, response: requests.Response) -> str:
        """What any answer but 2xx means, and what to do."""
        status = response.status_code
        then = WHAT_THEN[response.request.method or "GET"]
        said = self._words(response)
        if 300 <= status < 400:
            return (
                f"A redirect came in place of Drip's answer (HTTP {status}). It was not followed, "
                "for it would carry the API token elsewhere. Look for a proxy in between."
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"Drip is out of order (HTTP {status}{said}). {then}"
        return self._what_to_do(response, said) or (
            f"Drip refused for a reason that this version does not know (HTTP {status}{said}). "
            "Look for a proxy in between, and for a newer version of the bridge."
        )

    def _what_to_do(self, response: requests.Response, said: str) -> str | None:
        """After each 4xx that Drip documents."""
        return {
            401: f"Drip does not know this API token. Set DRIP_API_TOKEN to the one "
            f"{WHERE_THE_TOKEN_IS}",
            403: f"The user whose token DRIP_API_TOKEN is may not manage the webhooks of account "
            f"{self._account_id} (HTTP 403{said}). Use the token of one of its owners or admins, "
            "and check DRIP_ACCOUNT_ID.",
            404: f"Drip finds no account {self._account_id} for this API token (HTTP 404{said}). "
            f"Set DRIP_ACCOUNT_ID to {WHERE_THE_ACCOUNT_IS}",
            422: f"Drip does not take this webhook (HTTP 422{said}). Check that BASE_URL is the "
            "public address of the bridge.",
            429: f"Drip takes no more requests for now: {_limit(response)} an hour are allowed. "
            f"Run the command again {_when(response)}.",
        }.get(response.status_code)

    def _words(self, response: requests.Response) -> str:
        """Drip's reasons, field by field, without a secret; "" where it gave none."""
        try:
            errors = _Refusal().load(response.json())["errors"]
        except (ValidationError, ValueError, RecursionError):
            return ""
        reasons = "; ".join(filter(None, map(_reason, errors)))
        shown = "".join(letter for letter in self._unsaid(reasons) if letter.isprintable())
        return f": {shown[:WORDS_QUOTED]}" if shown else ""

    def _unsaid(self, text: str) -> str:
        basic = b64encode(f"{self._api_token}:".encode()).decode()
        for secret in (basic, self._api_token, *self._secrets):
            for written in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = re.sub(re.escape(written), "…", text, flags=re.IGNORECASE)
        # a URL may be cut short, and a token with it
        return re.sub(r"\w+://\S*", "(URL)", text)


class _Id(fields.String):
    """A number or text, and part of a URL: with no slash and no dot."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(value) if isinstance(value, int) else value
        found: str = super()._deserialize(text, *args, **kwargs)
        validate.Regexp(r"[\w-]+\Z", re.ASCII)(found)
        return found


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


def _to_webhook(found: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=found["id"],
        post_url=found["post_url"] or "",
        events=frozenset(found["events"] or ()),
        includes_received_email=bool(found["include_received_email"]),
    )


def _reason(error: Mapping[Any, Any]) -> str:
    said = (error.get("attribute"), error.get("message") or error.get("code"))
    return ": ".join(part for part in said if isinstance(part, str) and part)


def _limit(response: requests.Response) -> str:
    given = response.headers.get("X-RateLimit-Limit", "")
    return given if re.fullmatch(r"[0-9]{1,9}", given) else REQUESTS_AN_HOUR


def _when(response: requests.Response) -> str:
    """Drip usually sends no `Retry-After`, and documents none."""
    try:
        seconds = Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, InvalidHeader, ValueError, OverflowError):
        return "later: within the hour there is room again"
    return f"in {seconds:.0f} seconds"


def _no_answer(method: str, error: Exception) -> DripError:
    if isinstance(error, requests.Timeout | TimeoutError):
        return DripError(f"Drip did not answer in time. {WHAT_THEN[method]}")
    check = what_to_check(error, "the network") or "check the network and any proxy in between"
    return DripError(
        f"No whole answer came from Drip ({type(error).__name__}): {check}. {WHAT_THEN[method]}"
    )


def _unexpected(response: requests.Response) -> DripError:
    return DripError(
        f"Drip's answer (HTTP {response.status_code}) is not what its documentation describes. "
        "Look for a proxy in between, and for a newer version of the bridge. "
        + WHAT_THEN[response.request.method or "GET"]
    )
