"""The inspector: web pages that show where each event is."""

from flask import Blueprint

from app.bridge import Bridge
from app.formatting import clock_time, iso_time, pluralize, relative_time, thousands
from app.inspector import (
    actions,
    auth,
    erase,
    event,
    responses,
    send_sample,
    stream,
)
from app.outbox.notes import Notes

PAGES = (stream, event, actions, send_sample, erase)


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
    for text_filter in (clock_time, iso_time, pluralize, relative_time, thousands):
        blueprint.add_app_template_filter(text_filter)
    for page in PAGES:
        page.register(blueprint, bridge)
    return blueprint
