"""The inspector: one web page for the question "where is my event?"."""

from flask import Blueprint

from app.bridge import Bridge
from app.formatting import clock_time, iso_time, pluralize, relative_time, thousands
from app.inspector import (
    actions,
    auth,
    erase,
    error_pages,
    event,
    headers,
    send_sample,
    stream,
)
from app.outbox.notes import Notes

PAGES = (stream, event, actions, send_sample, erase, error_pages)


def create_inspector(bridge: Bridge) -> Blueprint:
    """The blueprint of all its pages. Without a password each of them says how to turn it on."""
    blueprint = Blueprint(
        "inspector",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/inspector-static",
    )
    notes = Notes(bridge.store.engine)
    headers.register(blueprint)
    auth.register(blueprint, bridge.settings, notes)
    for text_filter in (clock_time, iso_time, pluralize, relative_time, thousands):
        blueprint.add_app_template_filter(text_filter)
    for page in PAGES:
        page.register(blueprint, bridge)
    return blueprint
