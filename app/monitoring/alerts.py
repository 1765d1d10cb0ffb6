"""Tell an operator of trouble, once for each condition, and again when it has passed.

Every process of the bridge watches; the database records what was sent
(app/monitoring/alert_store.py). So a deliverer that is gone is noticed by the web process, and the
other way round. What is wrong with the database itself cannot be recorded in it: each process
reports that by itself.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import requests
from sqlalchemy.exc import SQLAlchemyError

from app.clients.failure import what_to_check
from app.clients.session import DeadlineSession
from app.database.engine import describe
from app.destination import Labels
from app.errors import AlertNotDelivered
from app.logs import get_logger
from app.monitoring.alert_store import Alert, AlertStore
from app.monitoring.checks import UNWRITTEN, failed_checks, unkept
from app.monitoring.stats import Stats
from app.monitoring.stats_cache import StatsUnavailable

log = get_logger(__name__)

LOOK_EVERY = 10.0
"""Seconds between looks."""

CLAIM = 60.0
"""Seconds that a process has to send an alert; then another may try."""

OPERATION_TIMEOUT = 5.0
WHOLE_EXCHANGE = 10.0
"""Seconds: for each step of a post, and for all of it."""


class Watch:
    """Looks at the figures, and reports trouble to the log and the alert webhook."""

    def __init__(
        self,
        book: AlertStore,
        take_stats: Callable[[], Stats],
        silence: float | None,
        url: str | None,
        is_kept: Callable[[], bool],
        labels: Labels,
    ) -> None:
        """`is_kept` says whether this process could keep the latest webhook."""
        self._labels = labels
        self._book = book
        self._take_stats = take_stats
        self._silence = silence
        self._url = url
        self._session = DeadlineSession()
        self._is_kept = is_kept
        self._database: dict[str, Alert] = {}
        """What is wrong with the database, which cannot note it itself."""
        self._untaken: list[Alert] = []
        """Notices of the database that the receiver has not taken yet."""

    def look(self) -> None:
        """Once."""
        now = time.time()
        wrong = {} if self._is_kept() else {"unkept": unkept(self._labels)}
        try:
            self._look_at_outbox(now)
        except StatsUnavailable as error:
            wrong["unread"] = str(error)
        except SQLAlchemyError as error:
            log.warning("watch: outbox out of reach", reason=describe(error))
            wrong["unwritten"] = UNWRITTEN
        self._tell_of_the_database(wrong, now)

    def _look_at_outbox(self, now: float) -> None:
        stats = self._take_stats()
        failed = failed_checks(stats, self._labels, now, self._silence)
        if not failed and self._book.is_empty():  # as ever: nothing to write down
            return
        # where all events have been pruned nobody can tell how long the silence is
        unknown = {"silence"} if stats.last_webhook is None else set()
        for notice in self._book.note(failed, unknown, now):
            _log(notice, now)  # first, whatever the receiver does
        self._tell_all(now)

    def _tell_all(self, now: float) -> None:
        """Send what is due. One that fails is sent again after its claim, and delays no other."""
        while notice := self._book.claim(now, now + CLAIM):
            try:
                self._tell(notice, now)
                self._book.told(notice)
            except AlertNotDelivered as error:
                log.warning("alert not taken, trying again", alert=notice.name, reason=str(error))
                if error.is_silent:  # the others would wait as long: with the next look
                    return

    def _tell_of_the_database(self, wrong: Mapping[str, str], now: float) -> None:
        begun = [
            Alert(name, wrong[name], now, is_cleared=False)
            for name in wrong.keys() - self._database.keys()
        ]
        ended = [
            replace(self._database.pop(name), is_cleared=True)
            for name in self._database.keys() - wrong.keys()
        ]
        self._database |= {notice.name: notice for notice in begun}
        for notice in [*begun, *ended]:
            _log(notice, now)
        self._untaken += [*begun, *ended]
        try:
            while self._untaken:
                self._tell(self._untaken[0], now)
                del self._untaken[0]
        except AlertNotDelivered as error:
            name = self._untaken[0].name
            log.warning("alert not taken, trying again", alert=name, reason=str(error))

    def _tell(self, notice: Alert, now: float) -> None:
        """Raises `AlertNotDelivered`."""
        if self._url:
            self._post(self._url, {"text": alert_to_text(notice, now)})

    def _post(self, url: str, message: Mapping[str, str]) -> None:
        """Raises `AlertNotDelivered`. The URL is a secret, and libraries quote it in errors."""
        try:
            with self._session.deadline(WHOLE_EXCHANGE):
                answer = self._session.post(url, json=message, timeout=OPERATION_TIMEOUT)
        except (requests.RequestException, OSError, ValueError) as error:
            check = what_to_check(error, "ALERT_WEBHOOK_URL") or "check ALERT_WEBHOOK_URL"
            reason = f"no answer ({type(error).__name__}): {check}"
            raise AlertNotDelivered(reason, is_silent=True) from None
        if not 200 <= answer.status_code < 300:
            raise AlertNotDelivered(f"HTTP {answer.status_code}: check ALERT_WEBHOOK_URL")


def _log(notice: Alert, now: float) -> None:
    say = log.info if notice.is_cleared else log.error
    say("alert", alert=notice.name, text=alert_to_text(notice, now))


def alert_to_text(notice: Alert, now: float) -> str:
    """One line, for a chat."""
    if notice.is_cleared:
        return f"Drip-Segment bridge, over after {(now - notice.since) / 60:.0f} min: {notice.text}"
    return f"Drip-Segment bridge: {notice.text}"
