"""Alert an operator when something goes wrong, when it gets much worse, daily, and when it is over.

Every process of the bridge watches, so the web process notices that a deliverer is gone, and the
other way round. The database records what was sent (`alert_store.py`). Trouble with the database
itself cannot be recorded there, so each process reports that by itself.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import requests
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clients.failure import what_to_check
from app.clients.session import DeadlineSession
from app.database.engine import describe
from app.errors import AlertNotDelivered
from app.formatting import pluralize, short_duration
from app.logs import get_logger
from app.monitoring.alert_store import Alert, AlertStore, Trouble
from app.monitoring.problem import UNWRITTEN, Problem, unreadable
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched, find_all, unkept_in_all
from app.outbox.traffic import read_traffic

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
        engine: Engine,
        directions: Sequence[Watched],
        silence: float | None,
        url: str | None,
        public_url: str | None = None,
    ) -> None:
        """`silence` is how many seconds without a webhook are too many, `url` the alert
        webhook, `public_url` the address of the inspector, for links."""
        self._engine = engine
        self._store = AlertStore(engine)
        self._public_url = public_url
        self._directions = directions
        self._silence = silence
        self._url = url
        self._database: dict[str, Alert] = {}
        """What is wrong with the database, which cannot be recorded in it."""
        self._untaken: list[Alert] = []
        """Alerts of the database that the alert webhook has not taken yet."""

    def look(self) -> None:
        """Look for problems once, and send what is due."""
        now = time.time()
        wrong = unkept_in_all(self._directions)
        try:
            self._look_at_outbox(now)
        except StatsUnavailable as error:
            wrong.append(unreadable(str(error)))
        except SQLAlchemyError as error:
            log.warning("watch: outbox out of reach", reason=describe(error))
            wrong.append(UNWRITTEN)
        self._report_database([self._to_trouble(problem, now) for problem in wrong], now)

    def _look_at_outbox(self, now: float) -> None:
        found = find_all(self._directions, now, self._silence)
        troubles = [
            self._to_trouble(problem, now)
            for problem in found.problems
            if problem.level != "notice"
        ]
        if not troubles and self._store.is_empty():  # the usual case: no write to the database
            return
        for alert in self._store.note(troubles, found.unknown, now):
            _log(alert, self._to_text(alert, now))  # before it is sent, which may fail
        self._send_due(now)

    def _to_trouble(self, problem: Problem, now: float) -> Trouble:
        """The problem in one line: what, how much, and the link to more, or else what to do."""
        accounts = f"Accounts: {', '.join(problem.accounts)}." if problem.accounts else ""
        link = f"{self._public_url}{problem.page or '/'}" if self._public_url else problem.action
        mark = "🔴" if problem.level == "critical" else "🟡"
        more = " ".join(filter(None, (problem.facts, accounts, link)))
        text = f"{mark} {problem.title}" + (f" — {more}" if more else "")
        since = now if problem.since is None else problem.since
        return Trouble(problem.name, text, problem.over, problem.count, since)

    def _send_due(self, now: float) -> None:
        """Send what is due. An alert that fails is sent again after its claim, and delays no
        other."""
        while alert := self._store.claim(now, now + CLAIM):
            try:
                self._send(alert, now)
                self._store.mark_sent(alert, now)
            except AlertNotDelivered as error:
                log.warning("alert not taken, trying again", alert=alert.name, reason=str(error))
                if error.is_silent:  # each of the others would wait as long
                    return

    def _report_database(self, wrong: Sequence[Trouble], now: float) -> None:
        names = {trouble.name for trouble in wrong}
        begun = [
            Alert(each.name, each.text, each.over, each.since, "raised")
            for each in wrong
            if each.name not in self._database
        ]
        ended = [
            replace(self._database.pop(name), stage="cleared")
            for name in self._database.keys() - names
        ]
        self._database |= {alert.name: alert for alert in begun}
        for alert in [*begun, *ended]:
            _log(alert, self._to_text(alert, now))
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
            post_text(self._url, self._to_text(alert, now))

    def _to_text(self, alert: Alert, now: float) -> str:
        """The alert in one line, for a chat."""
        if alert.stage != "cleared":
            again = {"grown": "Grew: ", "lasting": "Still: "}.get(alert.stage, "")
            return f"{again}{alert.text} (Drip-Segment bridge)"
        outcome = ""
        if alert.name.rpartition(": ")[2] in ("failing", "unreachable", "refused", "deliverer"):
            outcome = self._what_went(alert)
        lasted = short_duration(max(0.0, now - alert.since))
        return f"✅ {alert.over} — after {lasted}{outcome}. (Drip-Segment bridge)"

    def _what_went(self, alert: Alert) -> str:
        """What became of events since the alert began; "" if that cannot be read."""
        name = alert.name.rpartition(": ")[0] or self._directions[0].destination.name
        try:
            minutes = read_traffic(self._engine, name, alert.since)
        except SQLAlchemyError:
            return ""
        sent, failed = (sum(getattr(m, way) for m in minutes) for way in ("sent", "failed"))
        return f", {pluralize(sent, 'event')} delivered since, {failed} failed"


def post_text(url: str, text: str) -> None:
    """Post a line to the alert webhook. Raises `AlertNotDelivered`. It does not chain the
    libraries' errors, because they quote the URL, which is a secret."""
    session = DeadlineSession()
    try:
        with session.deadline(WHOLE_EXCHANGE):
            answer = session.post(url, json={"text": text}, timeout=OPERATION_TIMEOUT)
    except (requests.RequestException, OSError, ValueError) as error:
        check = what_to_check(error, "ALERT_WEBHOOK_URL") or "check ALERT_WEBHOOK_URL"
        reason = f"no answer ({type(error).__name__}): {check}"
        raise AlertNotDelivered(reason, is_silent=True) from None
    if not 200 <= answer.status_code < 300:
        raise AlertNotDelivered(f"HTTP {answer.status_code}: check ALERT_WEBHOOK_URL")


def _log(alert: Alert, text: str) -> None:
    write = log.info if alert.stage == "cleared" else log.error
    write("alert", alert=alert.name, text=text)
