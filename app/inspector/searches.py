"""What is searched for stands in no URL: proxies log those, and it may be a person's address.

A URL has a hash in its place, and the database has what it stands for. So a page can be loaded
again, and its link given to a colleague who is logged in too.
"""

import hmac

from app.bridge import Bridge
from app.outbox.notes import Notes
from app.web.login_link import session_key

LASTS = 30 * 24 * 3600.0
"""Seconds for which a link to a search is good."""

MARK = "~"


class Searches:
    """Words and what stands for them in URLs."""

    def __init__(self, notes: Notes, key: bytes) -> None:
        self._notes = notes
        self._key = key

    def keep(self, words: str) -> str:
        """What stands for them, the same each time. Raises `SQLAlchemyError`."""
        mark = MARK + hmac.digest(self._key, words.encode(errors="replace"), "sha256").hex()[:32]
        self._notes.keep(f"search {mark}", words, LASTS)
        return mark

    def words(self, mark: str) -> str | None:
        """None where nobody knows them any more. Raises `SQLAlchemyError`."""
        return self._notes.text(f"search {mark}")


def searches_of(bridge: Bridge) -> Searches:
    """The searches of all processes that have the same secrets."""
    settings = bridge.settings
    key = session_key(settings.inspector_password or "", settings.webhook_tokens)
    return Searches(Notes(bridge.store.engine), key)
