"""The inspector: web pages that show where each event is."""

import time

from flask import Blueprint

from app.bridge import Bridge
from app.formatting import (
    clock_time,
    days,
    iso_time,
    minute_time,
    pluralize,
    relative_time,
    seconds,
    short_time,
    thousands,
)
from app.inspector import (
    actions,
    auth,
    erase,
    event,
    issues,
    navigation,
    overview,
    responses,
    send_sample,
    setup,
    setup_actions,
    stream,
    try_mapping,
)
from app.outbox.notes import Notes

PAGES = (
    overview,
    stream,
    event,
    issues,
    actions,
    setup,
    setup_actions,
    send_sample,
    erase,
    try_mapping,
)

FILTERS = (
    *(clock_time, iso_time, minute_time, short_time, relative_time),
    *(days, pluralize, seconds, thousands),
)


def create_inspector(bridge: Bridge) -> Blueprint:
    """Create the blueprint of all pages. Without a password each page says how to turn it on."""
    blueprint = Blueprint(
        "inspector",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/inspector-static",
    )
    notes = Notes(bridge.engine)
    responses.register(blueprint)
    auth.register(blueprint, bridge.settings, notes)
    for text_filter in FILTERS:
        blueprint.add_app_template_filter(text_filter)
    blueprint.add_app_template_global(time.time, "now")
    navigation.register(blueprint, bridge)
    for page in PAGES:
        page.register(blueprint, bridge)
    return blueprint
