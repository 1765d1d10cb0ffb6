"""Read the headers in which a server asks to wait."""

from collections.abc import Mapping
from typing import Any

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry


def seconds_to_wait(headers: Mapping[str, Any], *names: str) -> float | None:
    """Return the seconds that the first readable of these headers asks for, or None. A header has
    a number of seconds, or a date."""
    for name in names or ("Retry-After",):
        try:
            return float(Retry().parse_retry_after(headers[name]))
        except (KeyError, InvalidHeader, ValueError, OverflowError):
            continue
    return None
