"""What a request to Drip asks for, read strictly, and Drip's documented answers."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

MOST_ITEMS = 1000

_PATH = re.compile(
    r"/v2/(?P<account>[0-9]+)/(?:campaigns/(?P<campaign>[^/]+)/(?P<list>subscribers)"
    r"|(?P<plain>subscribers|events)(?P<batch>/batches)?)"
)


_OF_PERSON = re.compile(
    r"(?P<method>GET|POST|DELETE) /v2/(?P<account>[0-9]+)/subscribers/(?P<person>[^/?]+)"
    r"(?P<what>/unsubscribe_all|/remove)?(?:\?campaign_id=(?P<campaign>[^&]+))?"
)


class PersonCall(NamedTuple):
    """What a request asks for that has the person in its path."""

    method: str
    account: str
    person: str
    what: str
    """"", "/unsubscribe_all" or "/remove"."""
    campaign: str


def parse_of_person(line: str) -> PersonCall | None:
    """What a request with this method and path asks for; None if it has no person in its path."""
    found = _OF_PERSON.fullmatch(line)
    if not found or found["person"] == "batches":
        return None
    if (found["method"] == "POST") != bool(found["what"]):
        return None
    person = unquote(found["person"])
    return PersonCall(
        found["method"], found["account"], person, found["what"] or "", found["campaign"] or ""
    )


_ACTIVITY = re.compile(r"POST /v3/(?P<account>[0-9]+)/shopper_activity/(?P<kind>order|cart)")


class ActivityCall(NamedTuple):
    """A request that records an order or a cart."""

    account: str
    kind: str


def parse_activity(line: str) -> ActivityCall | None:
    """What a request with this method and path records; None if it is not for that."""
    found = _ACTIVITY.fullmatch(line)
    return ActivityCall(found["account"], found["kind"]) if found else None


@dataclass(frozen=True)
class Reply:
    """How to answer a request."""

    status: int | None = None
    """None: Drip does what is asked, and answers as documented. A number: it does nothing."""
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """None leaves a header out."""
    hang: float = 0.0
    """Seconds before anything is answered."""
    seconds_a_byte: float = 0.0
    """Drip the body out."""
    cut: bool = False
    """Close the connection in place of an answer."""
    raw: bytes | None = None
    """Sent in place of any HTTP; then the connection is closed, and nothing is done."""

    @property
    def is_documented(self) -> bool:
        return self.status is None and self.raw is None


class Call(NamedTuple):
    """Which people or events a request puts, as its path says."""

    account: str
    kind: str
    """"subscriber", "event" or "campaign"."""
    list_name: str
    campaign: str
    is_batch: bool


def parse(path: str) -> Call | None:
    """What a POST to this path is for; None if Drip has no such path."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    list_name = found["list"] or found["plain"]
    kind = "campaign" if found["campaign"] else list_name.removesuffix("s")
    return Call(found["account"], kind, list_name, found["campaign"] or "", bool(found["batch"]))


def unwrap(body: Any, call: Call) -> list[Any] | Reply:
    """The items of a body, or the answer to a wrong wrapper."""
    if body is None:
        words = "There was a problem in the JSON you submitted"
        return in_json(400, {"status": 400, "error": words})
    name, most = call.list_name, MOST_ITEMS if call.is_batch else 1
    if call.is_batch:
        batches = _only(body, "batches")
        body = batches[0] if isinstance(batches, list) and len(batches) == 1 else None
    items = _only(body, name)
    if isinstance(items, list) and 1 <= len(items) <= most:
        return items
    if call.is_batch:
        words = f"{name.capitalize()} must contain between 1 and {MOST_ITEMS} items"
        return refusal(422, "", words)
    words = "JSON parsing error: The property '#/' did not contain a required property"
    return refusal(422, "parsing_error", words)


def basic(token: str) -> str:
    """The header by which an API token logs in."""
    return f"Basic {b64encode(f'{token}:'.encode()).decode()}"


def refusal(status: int, code: str, message: str, attribute: str = "") -> Reply:
    """A refusal for one reason; "" leaves a part of it out."""
    error = {"code": code, "attribute": attribute, "message": message}
    return in_json(status, {"errors": [{name: said for name, said in error.items() if said}]})


def in_json(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _only(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) and len(body) == 1 else None


NOT_FOUND = refusal(404, "not_found_error", "The resource you requested was not found")

NOT_LOGGED_IN = refusal(401, "authentication", "Authentication failed, check your credentials")

AT_ONCE = refusal(429, "", "Too many concurrent requests for the same subscriber")

HOUR_IS_OVER = in_json(
    429,
    {
        "message": "API rate limit exceeded. Please try again in an hour.",
        "documentation": "https://www.getdrip.com/docs/rest-api#rate-limting",
    },
)
