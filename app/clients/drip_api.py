"""What all that talk to Drip's REST API have in common (docs/development/facts.md §§ 1, 5): where
it is, who we say we are, and how its refusals are read. Pure."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from app.version import VERSION

API = "https://api.getdrip.com"

USER_AGENT = f"drip-segment-bridge/{VERSION}"

HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json"}
"""Sent with every request."""


class Fault(NamedTuple):
    """One of the errors in a refusal. What Drip did not say is ""."""

    code: str
    attribute: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.attribute, self.message or self.code)))


class Answer(NamedTuple):
    """What came back to a request."""

    status: int
    body: bytes
    faults: tuple[Fault, ...] = ()
    """() if the body is not one of Drip's refusals."""
    words: str = ""
    """The body, to be kept with messages: cut short, and without the token."""
    asked: float | None = None
    """Seconds to wait that it asks for."""
    remaining: int | None = None
    """How many requests are left of this hour's, if it says so."""

    def says(self, pattern: str) -> bool:
        """Whether one of Drip's messages has such words."""
        return any(re.search(pattern, fault.message, re.IGNORECASE) for fault in self.faults)


def read_faults(body: bytes) -> tuple[Fault, ...]:
    """Return the errors in an answer, or () if it is not one of Drip's refusals: those have a list
    `errors`, or a `message` or `error` alone."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(answer, dict):
        return ()
    errors = answer.get("errors", [{"message": answer.get("message") or answer.get("error")}])
    if not isinstance(errors, list):
        return ()
    faults = (_to_fault(error) for error in errors if isinstance(error, dict))
    return tuple(fault for fault in faults if any(fault))


def redact(text: str, token: str, secrets: Iterable[str] = ()) -> str:
    """Replace the API token, and other secrets, in whatever form an answer may quote them."""
    basic = [b64encode(f"{token}{end}".encode()).decode() for end in (":", "")]
    for secret in (*basic, token, *secrets):
        for encoded in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = re.sub(re.escape(encoded), "…", text, flags=re.IGNORECASE)
    return text


def _to_fault(error: dict[str, Any]) -> Fault:
    values = (error.get(name) for name in Fault._fields)
    return Fault(*(value if isinstance(value, str) else "" for value in values))
