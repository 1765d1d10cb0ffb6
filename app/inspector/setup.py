"""`/setup`: what is set up and what is still to be done. It stays when events have come."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.config.settings import Settings
from app.config.warnings import startup_warnings
from app.database.engine import reader
from app.database.schema import current_revision
from app.drip_to_segment.webhook_check import missing_settings
from app.drip_to_segment.webhook_setup import masked, webhook_url
from app.inspector.display import Show, text_formatter
from app.inspector.send_sample import PERSON
from app.inspector.session import came_over_tls
from app.inspector.setup_keys import KeyTable, Mark, read_keys, secrets_of
from app.inspector.view import is_first_run
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.latest import last_received
from app.version import VERSION


@dataclass(frozen=True)
class SetupPage:
    """The values that the templates need."""

    settings: Settings
    base: str
    """Scheme and host at which the bridge is reached."""
    is_revealed: bool
    is_first_run: bool
    last_event: float | None
    """When Drip's newest event came. Samples do not count."""
    missing: Sequence[str]
    """What has to be set before Drip can be asked."""
    keys: Sequence[KeyTable] | None
    """By direction; None if the events could not be counted."""
    warnings: Sequence[str]
    database: str
    revision: str | None
    now: float
    version: str = VERSION

    @property
    def webhook(self) -> str:
        """The URL for Drip. Its secret is masked until it is asked for."""
        url = webhook_url(self.base, self.settings.webhook_tokens[0])
        return url if self.is_revealed else masked(url)

    @property
    def segment_webhooks(self) -> list[tuple[str, str]]:
        """The URLs for Segment, each with its account, which is "" for the default. None if
        Segment → Drip is off."""
        if not self.settings.segment_webhook_secrets:
            return []
        url = f"{self.base}/webhooks/segment"
        own = self.settings.drip_api_tokens.keys() - {self.settings.drip_account_id}
        return [("", url), *((account, f"{url}/{account}") for account in sorted(own))]

    @property
    def segment_secret(self) -> str:
        """What Segment signs with. It is masked until it is asked for."""
        return self.settings.segment_webhook_secrets[0] if self.is_revealed else "…"

    @property
    def alerts_host(self) -> str:
        """Where alerts are posted to; "" if nowhere. The rest of the URL is a secret."""
        return urlsplit(self.settings.alert_webhook_url or "").hostname or ""

    @property
    def marks(self) -> dict[str, Mark]:
        """The state of each section."""
        to_segment, *to_drip = [table.mark for table in self.keys or ()] or ["todo"]
        return {
            "address": "done" if self.base.startswith("https://") else "todo",
            "drip": "todo" if self.last_event is None else "done",
            "segment": to_segment,
            "back": to_drip[0] if to_drip else "off",
            "alerts": "done" if self.alerts_host else "todo",
            "try": "todo" if self.is_first_run else "done",
            "settings": "wrong" if self.warnings else "done",
        }

    @property
    def show(self) -> Show:
        """Format text that strangers wrote."""
        return text_formatter(reveal=False)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/setup`, and `/live/setup`, whose status is 204 until an event came."""

    @blueprint.get("/setup")
    def setup() -> str:
        return render_template("setup.html", page=_read(bridge))

    @blueprint.get("/live/setup")
    def live_setup() -> ResponseReturnValue:
        return "", 204 if is_first_run(bridge) else 200


def _last_event(bridge: Bridge) -> float | None:
    with reader(bridge.engine) as connection:
        return last_received(connection, bridge.drip_to_segment.destination.name, PERSON)


def _read(bridge: Bridge) -> SetupPage:
    settings, now = bridge.settings, time.time()
    return SetupPage(
        settings=settings,
        base=settings.public_url or _base_of_request(),
        is_revealed=request.args.get("reveal") == "1",
        is_first_run=is_first_run(bridge),
        last_event=_last_event(bridge),
        missing=missing_settings(settings),
        keys=_read_keys(bridge, now),
        warnings=list(startup_warnings(settings)),
        database={"sqlite": "SQLite", "postgresql": "PostgreSQL"}[bridge.engine.dialect.name],
        revision=current_revision(bridge.engine),
        now=now,
    )


def _base_of_request() -> str:
    scheme = "https" if came_over_tls(request) else "http"
    return f"{scheme}://{request.host}"


def _read_keys(bridge: Bridge, now: float) -> list[KeyTable] | None:
    try:
        return [
            read_keys(each.destination, secrets_of(each, bridge.settings), each.stats.latest(), now)
            for each in bridge.directions
        ]
    except StatsUnavailable:
        return None
