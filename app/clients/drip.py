"""A client for the part of Drip's REST API that sets up webhooks (docs/development/facts.md § 1),
and that says what an API token may see.

No message that it raises contains the API token or a webhook's token.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import requests

from app.clients.drip_answers import (
    Account,
    User,
    Webhook,
    read_accounts,
    read_user,
    read_webhooks,
)
from app.clients.drip_api import API, HEADERS, read_faults, redact
from app.clients.failure import what_to_check
from app.clients.headers import seconds_to_wait
from app.clients.session import DeadlineSession

OPERATION_TIMEOUT = 10.0
WHOLE_EXCHANGE = 20.0
"""Seconds: for each socket operation, and for a whole request."""

REQUESTS_AN_HOUR = "3600"
"""Drip's documented limit, used if an answer has no `X-RateLimit-Limit`
(docs/development/facts.md § 1)."""

QUOTED_CHARACTERS = 300
"""The most of Drip's own error text that a message repeats."""

WHERE_THE_TOKEN_IS = "in Drip's User Settings: https://www.getdrip.com/user/edit"  # noqa: S105
WHERE_THE_ACCOUNT_IS = "the number in the address of Drip's pages: https://www.getdrip.com/9999999"

NEXT_STEP = {
    "GET": "Try again later.",
    "POST": "Whether the webhook was created is not known. Run the command again: it looks first.",
    "DELETE": "Whether the webhook was deleted is not known.",
}
"""What to do after no answer, or one that leaves open what happened."""


T = TypeVar("T")


class DripError(Exception):
    """Drip did not do what was asked. The message says in one line what to do."""


class Drip:
    """Manage the webhooks of one account, and say what its API token gives access to. Each method
    raises `DripError`.

    Drip may quote a webhook's URL in an error, so `secrets` are removed from messages, as is the
    API token.
    """

    def __init__(
        self,
        account_id: str,
        api_token: str,
        secrets: Sequence[str] = (),
        api: str = API,
        variable: str = "DRIP_API_TOKEN",
    ) -> None:
        """`variable` is where the API token was set."""
        self._account_id = account_id
        self._api_token = api_token
        self._secrets = tuple(secrets)
        self._variable = variable
        self._webhooks_url = f"{api}/v2/{account_id}/webhooks"
        self._user_url = f"{api}/v2/user"
        self._accounts_url = f"{api}/v2/accounts"

    def user(self) -> User:
        """Return the user whose API token it is."""
        return _read(read_user, self._request("GET", self._user_url))

    def accounts(self) -> list[Account]:
        """List the accounts that the API token gives access to."""
        return _read(read_accounts, self._request("GET", self._accounts_url))

    def webhooks(self) -> list[Webhook]:
        """List all of the account's. Drip documents no pagination."""
        return _read(read_webhooks, self._request("GET", self._webhooks_url))

    def create(self, post_url: str, events: Iterable[str]) -> Webhook:
        """Create a webhook for these events and `received_email`, and return it as Drip made it."""
        webhook = {"post_url": post_url, "include_received_email": True, "events": list(events)}
        response = self._request("POST", self._webhooks_url, {"webhooks": [webhook]})
        created = _read(read_webhooks, response)
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
            session.headers.update(HEADERS)
            try:
                with session.deadline(WHOLE_EXCHANGE):
                    response = session.request(method, url, json=body, timeout=OPERATION_TIMEOUT)
            except (requests.RequestException, OSError, ValueError) as error:
                raise _no_answer(method, error) from None
        if not (200 <= response.status_code < 300 or response.status_code == accept):
            raise DripError(self._explain(response))
        return response

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
        messages = {
            401: f"Drip does not know this API token. Set {self._variable} to the one "
            f"{WHERE_THE_TOKEN_IS}",
            429: f"Drip takes no more requests for now: {_hourly_limit(response)} an hour are "
            f"allowed. Try again {_retry_time(response)}.",
        }
        if (response.request.url or "").startswith(self._webhooks_url):
            messages |= self._explain_webhooks(reasons)
        return messages.get(response.status_code)

    def _explain_webhooks(self, reasons: str) -> dict[int, str]:
        """Return the messages for each 4xx about webhooks that Drip documents."""
        return {
            403: f"The user whose token DRIP_API_TOKEN is may not manage the webhooks of account "
            f"{self._account_id} (HTTP 403{reasons}). Use the token of one of its owners or "
            "admins, and check DRIP_ACCOUNT_ID.",
            404: f"Drip finds no account {self._account_id} for this API token "
            f"(HTTP 404{reasons}). Set DRIP_ACCOUNT_ID to {WHERE_THE_ACCOUNT_IS}",
            422: f"Drip does not take this webhook (HTTP 422{reasons}). Check that BASE_URL is the "
            "public address of the bridge.",
        }

    def _reasons(self, response: requests.Response) -> str:
        """Return Drip's reasons, without secrets, or "" if it gave none."""
        reasons = "; ".join(map(str, read_faults(response.content)))
        # a URL may be cut short, and a token with it
        hidden = re.sub(r"\w+://\S*", "(URL)", redact(reasons, self._api_token, self._secrets))
        shown = "".join(letter for letter in hidden if letter.isprintable())
        return f": {shown[:QUOTED_CHARACTERS]}" if shown else ""


def _read(read: Callable[[Any], T], response: requests.Response) -> T:
    try:
        return read(response.json())
    except (ValueError, RecursionError):
        raise _unexpected_answer(response) from None


def _hourly_limit(response: requests.Response) -> str:
    limit = response.headers.get("X-RateLimit-Limit", "")
    return limit if re.fullmatch(r"[0-9]{1,9}", limit) else REQUESTS_AN_HOUR


def _retry_time(response: requests.Response) -> str:
    """Return when to try again. Drip documents no `Retry-After`, and usually sends none."""
    seconds = seconds_to_wait(response.headers)
    if seconds is None:
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
