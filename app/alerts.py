"""Tell an operator of trouble, once for each condition, and again when it has passed.

Every process of the bridge watches; the outbox knows what was told (app/outbox/alert_book.py). So
a deliverer that is gone is noticed by the web process, and the other way round.
"""

import time
from collections.abc import Callable, Mapping

import requests

from app.errors import CannotTell
from app.logs import get_logger
from app.outbox.alert_book import AlertBook, Notice
from app.outbox.census import Census
from app.outbox.census_taker import NoCensus
from app.trouble import census_to_troubles

log = get_logger(__name__)

LOOK_EVERY = 30.0
"""Seconds between looks."""

CLAIM = 60.0
"""Seconds that a process has for telling; then another may."""


class Watch:
    """Looks at the figures, and tells whoever reads the log and the alert webhook."""

    def __init__(
        self,
        book: AlertBook,
        take_census: Callable[[], Census],
        silence: float | None,
        url: str | None,
    ) -> None:
        self._book = book
        self._take_census = take_census
        self._silence = silence
        self._url = url

    def look(self) -> None:
        """Once. Raises `SQLAlchemyError`."""
        now = time.time()
        try:
            census = self._take_census()
        except NoCensus:  # told in the log by who found it out
            return
        troubles = census_to_troubles(census, now, self._silence)
        if not troubles and self._book.is_empty():  # as ever: nothing to write down
            return
        # where all events have been pruned nobody can tell how long the silence is
        unknown = {"silence"} if census.last_webhook is None else set()
        self._book.note(troubles, unknown, now)
        for notice in self._book.claim(now, now + CLAIM):
            self._tell(notice, now)

    def _tell(self, notice: Notice, now: float) -> None:
        text = notice_to_text(notice, now)
        try:
            if self._url:
                post(self._url, {"text": text})
        except CannotTell as error:
            log.warning("alert not taken, trying again", alert=notice.name, reason=str(error))
            return
        say = log.info if notice.is_cleared else log.error
        say("alert", alert=notice.name, text=text)
        self._book.told(notice)


def notice_to_text(notice: Notice, now: float) -> str:
    """One line, for a chat."""
    if notice.is_cleared:
        return f"Drip-Segment bridge, over after {(now - notice.since) / 60:.0f} min: {notice.text}"
    return f"Drip-Segment bridge: {notice.text}"


def post(url: str, message: Mapping[str, str]) -> None:
    """Raises `CannotTell`. The URL is a secret, and libraries quote it in their errors."""
    try:
        answer = requests.post(url, json=message, timeout=10, allow_redirects=False)
    except requests.RequestException as error:
        raise CannotTell(f"no answer ({type(error).__name__})") from None
    if not answer.ok or answer.is_redirect:
        raise CannotTell(f"HTTP {answer.status_code}: check ALERT_WEBHOOK_URL")
