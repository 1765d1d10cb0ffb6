"""Keep search terms out of URLs: a URL has a hash, and the database the term."""

import hmac

from app.bridge import Bridge
from app.outbox.notes import Notes
from app.web.login_link import session_key

SEARCH_LASTS = 30 * 24 * 3600.0
"""Seconds for which a link to a search is valid."""

HASH_PREFIX = "~"


class Searches:
    """Search terms and their hashes.

    A search term may be a person's address, and proxies log URLs. So a URL has a hash instead, and
    the database has the term. A page can be reloaded, and its link can be given to a colleague.
    """

    def __init__(self, notes: Notes, key: bytes) -> None:
        self._notes = notes
        self._key = key

    def save(self, term: str) -> str:
        """Save a term and return its hash, always the same one. Raises `SQLAlchemyError`."""
        digest = hmac.digest(self._key, term.encode(errors="replace"), "sha256").hex()[:32]
        self._notes.keep(f"search {HASH_PREFIX}{digest}", term, SEARCH_LASTS)
        return HASH_PREFIX + digest

    def find(self, term_hash: str) -> str | None:
        """Return a hash's term, or None if it is not saved any more. Raises `SQLAlchemyError`."""
        return self._notes.text(f"search {term_hash}")


def searches_of(bridge: Bridge) -> Searches:
    """Return the searches, which all processes with the same secrets share."""
    settings = bridge.settings
    key = session_key(settings.inspector_password or "", settings.webhook_tokens)
    return Searches(Notes(bridge.engine), key)
