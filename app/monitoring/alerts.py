"""Alert an operator once when a check fails, and once when it passes again.

Every process of the bridge watches, so the web process notices that a deliverer is gone, and the
other way round. The database records what was sent (`alert_store.py`). Trouble with the database
itself cannot be recorded there, so each process reports that by itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import requests
from sqlalchemy.exc import SQLAlchemyError

from app.clients.failure import what_to_check
from app.clients.session import DeadlineSession
from app.database.engine import describe
from app.errors import AlertNotDelivered
from app.logs import get_logger
from app.monitoring.alert_store import Alert, AlertStore
from app.monitoring.checks import UNWRITTEN
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched, check_all, unkept_in_all

log = get_logger(__name__)

LOOK_EVERY = 10.0
"""Seconds between two runs of the checks."""

CLAIM = 60.0
"""Seconds that a process has to send an alert; after that another may try."""

OPERATION_TIMEOUT = 5.0
WHOLE_EXCHANGE = 10.0
"""Seconds for each step of a post, and for the whole of it."""


class Watch:
    """Run the checks and report what changed to the log and to the alert webhook."""

    def __init__(
        self,
        store: AlertStore,
        directions: Sequence[Watched],
        silence: float | None,
        url: str | None,
    ) -> None:
        """`silence` is how many seconds without a webhook are too many, `url` the alert
        webhook."""
        self._store = store
        self._directions = directions
        self._silence = silence
        self._url = url
        self._session = DeadlineSession()
        self._database: dict[str, Alert] = {}
        """What is wrong with the database, which cannot be recorded in it."""
        self._untaken: list[Alert] = []
        """Alerts of the database that the alert webhook has not taken yet."""

    def look(self) -> None:
        """Run the checks once, and send what is due."""
        now = time.time()
        wrong = unkept_in_all(self._directions)
        try:
            self._look_at_outbox(now)
        except StatsUnavailable as error:
            wrong["unread"] = str(error)
        except SQLAlchemyError as error:
            log.warning("watch: outbox out of reach", reason=describe(error))
            wrong["unwritten"] = UNWRITTEN
        self._report_database(wrong, now)

    def _look_at_outbox(self, now: float) -> None:
        failed = check_all(self._directions, now, self._silence)
        if (
            not failed.sentences and self._store.is_empty()
        ):  # the usual case: no write to the database
            return
        for alert in self._store.note(failed.sentences, failed.unknown, now):
            _log(alert, now)  # before it is sent, because the alert webhook may fail
        self._send_due(now)

    def _send_due(self, now: float) -> None:
        """Send what is due. An alert that fails is sent again after its claim, and delays no
        other."""
        while alert := self._store.claim(now, now + CLAIM):
            try:
                self._send(alert, now)
                self._store.mark_sent(alert)
            except AlertNotDelivered as error:
                log.warning("alert not taken, trying again", alert=alert.name, reason=str(error))
                if error.is_silent:  # each of the others would wait as long
                    return

    def _report_database(self, wrong: Mapping[str, str], now: float) -> None:
        begun = [
            Alert(name, wrong[name], now, is_cleared=False)
            for name in wrong.keys() - self._database.keys()
        ]
        ended = [
            replace(self._database.pop(name), is_cleared=True)
            for name in self._database.keys() - wrong.keys()
        ]
        self._database |= {alert.name: alert for alert in begun}
        for alert in [*begun, *ended]:
            _log(alert, now)
        self._untaken += [*begun, *ended]
        try:
            while self._untaken:
                self._send(self._untaken[0], now)
                del self._untaken[0]
        except AlertNotDelivered as error:
            name = self._untaken[0].name
            log.warning("alert not taken, trying again", alert=name, reason=str(error))

    def _send(self, alert: Alert, now: float) -> None:
        """Post an alert, if there is a webhook for them. Raises `AlertNotDelivered`."""
        if self._url:
            self._post(self._url, {"text": alert_to_text(alert, now)})

    def _post(self, url: str, message: Mapping[str, str]) -> None:
        """Raises `AlertNotDelivered`. It does not chain the libraries' errors, because they quote
        the URL, which is a secret."""
        try:
            with self._session.deadline(WHOLE_EXCHANGE):
                answer = self._session.post(url, json=message, timeout=OPERATION_TIMEOUT)
        except (requests.RequestException, OSError, ValueError) as error:
            check = what_to_check(error, "ALERT_WEBHOOK_URL") or "check ALERT_WEBHOOK_URL"
            reason = f"no answer ({type(error).__name__}): {check}"
            raise AlertNotDelivered(reason, is_silent=True) from None
        if not 200 <= answer.status_code < 300:
            raise AlertNotDelivered(f"HTTP {answer.status_code}: check ALERT_WEBHOOK_URL")


def _log(alert: Alert, now: float) -> None:
    write = log.info if alert.is_cleared else log.error
    write("alert", alert=alert.name, text=alert_to_text(alert, now))


def alert_to_text(alert: Alert, now: float) -> str:
    """The alert in one line, for a chat."""
    if alert.is_cleared:
        return f"Drip-Segment bridge, over after {(now - alert.since) / 60:.0f} min: {alert.text}"
    return f"Drip-Segment bridge: {alert.text}"
