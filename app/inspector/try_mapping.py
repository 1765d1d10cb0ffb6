"""`/try`: what would Drip get of a call? Nothing is kept or sent."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.config.settings import Settings
from app.errors import ConfigError
from app.inspector.display import value_to_pretty
from app.segment_to_drip.direction import options_of
from app.segment_to_drip.mapping.mappings import PRESETS, load
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.sending.trial import NOTHING, Trial, try_event

LARGEST = 40_000
"""Characters of a call. Segment's have 32 kB at most. A form may have 64 kB (`auth.py`), of which
this one's wrapping takes little: it is not the kind that writes each sign as three."""

EXAMPLE = {
    "type": "identify",
    "userId": "42",
    "traits": {"email": "ada@example.com", "firstName": "Ada", "plan": "pro", "tags": ["beta"]},
    "context": {"timezone": "Europe/London"},
}


@dataclass(frozen=True)
class TryPage:
    """The values that `try_mapping.html` needs."""

    in_use: str
    """The preset or file that `DRIP_MAPPING` names."""
    chosen: str
    call: str
    trial: Trial | None = None
    error: str = ""
    nothing: str = NOTHING

    @staticmethod
    def pretty(value: Any) -> str:
        """A value as indented JSON. Addresses stay: the visitor has typed them."""
        return value_to_pretty(value, reveal=True)

    @property
    def choices(self) -> list[str]:
        """What the call can be tried with."""
        return list(dict.fromkeys([self.in_use, *PRESETS]))


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/try`."""
    in_use = bridge.settings.drip_mapping
    # the file may have changed since; if the direction is off, it was not read at all
    at_start = options_of(bridge.settings) if bridge.segment_to_drip else None

    @blueprint.get("/try")
    def try_mapping() -> ResponseReturnValue:
        call = json.dumps(EXAMPLE, indent=2)
        return render_template("try_mapping.html", page=TryPage(in_use, in_use, call))

    @blueprint.post("/try")
    def try_call() -> ResponseReturnValue:
        call = request.form.get("call", "").strip()
        chosen = request.form.get("mapping", in_use)
        page = TryPage(in_use, chosen if chosen in PRESETS else in_use, call)
        if len(call) > LARGEST:
            page = replace(page, call="", error=f"Longer than {LARGEST:,} characters.")
        else:
            page = _tried(page, bridge.settings, at_start)
        return render_template("try_mapping.html", page=page)


def _tried(page: TryPage, settings: Settings, at_start: DripOptions | None) -> TryPage:
    try:
        options = at_start or options_of(settings)
        mappings = options.mappings if page.chosen == page.in_use else load(page.chosen)
    except ConfigError as error:
        return replace(page, error=str(error))
    account = options.default_account or "ACCOUNT"
    options = replace(options, mappings=mappings)
    return replace(page, trial=try_event(page.call.encode(), time.time(), account, options))
