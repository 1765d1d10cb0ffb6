"""Serve `/plugins/drip.js`: the plugin with which analytics.js sends to Drip from the browser."""

import json
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from app.segment_to_drip.options import DripOptions

HEADERS = {
    # pages of any site load it, as a script or as a module
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=3600",
}


def create_plugin(options: DripOptions) -> Blueprint:
    """The blueprint of the script. It is the same for everybody until the settings change."""
    blueprint = Blueprint("plugin", __name__)
    script = script_for(options)

    @blueprint.get("/plugins/drip.js")
    def plugin() -> ResponseReturnValue:
        response = Response(script, headers=HEADERS, mimetype="text/javascript")
        response.add_etag()
        return response.make_conditional(request)

    return blueprint


def script_for(options: DripOptions) -> str:
    """The plugin, and after it the bridge's settings, none of which is a secret. A page may set
    others, and a site that serves a copy of the file alone sets all of them."""
    plugin = files("app.segment_to_drip.receiving") / "drip.js"
    settings: dict[str, Any] = {
        "account": options.default_account,
        "campaignId": options.campaign_id,
        "doubleOptin": options.double_optin,
        "consent": options.consent_categories,
        "orders": options.orders,
    }
    text = plugin.read_text(encoding="utf-8")
    return f"{text}window.dripPlugin.defaults = {json.dumps(settings)}\n"
