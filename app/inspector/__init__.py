"""The inspector: one web page for the question "where is my event?"."""

from flask import Blueprint

from app.bridge import Bridge
from app.inspector import (
    actions,
    erasing,
    event_page,
    guard,
    headers,
    login,
    overview,
    sampling,
    stream,
    trouble_page,
)
from app.outbox.notes import Notes

PAGES = (stream, overview, event_page, actions, sampling, erasing, trouble_page)


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
    guard.register(blueprint, bridge.settings, notes)
    login.register(blueprint, bridge.settings, notes)
    for page in PAGES:
        page.register(blueprint, bridge)
    return blueprint
