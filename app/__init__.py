"""The bridge as a Flask app: it takes webhooks of Drip and Segment, and sends on what they say."""

from functools import partial

from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from app.bridge import bridge_of, build_bridge
from app.cli import add_commands
from app.config.settings import Settings, load_settings
from app.config.warnings import startup_warnings
from app.drip_to_segment.webhook import create_webhook
from app.inspector import create_inspector
from app.inspector.responses import unknown_address, wants_page
from app.logs import configure_logs, get_logger
from app.monitoring.endpoints import create_endpoints
from app.outbox.group_commit import GroupCommit
from app.outbox.notes import Notes
from app.segment_to_drip.direction import options_of
from app.segment_to_drip.receiving.plugin import create_plugin
from app.segment_to_drip.receiving.tracking import create_tracking
from app.segment_to_drip.webhook import create_webhook as create_segment_webhook
from app.web.auth import has_token
from app.web.client_address import UnmapIPv4

log = get_logger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the app from its parts. Raises `ConfigError` if a setting is wrong."""
    settings = settings or load_settings()
    configure_logs(settings.log_level, settings.log_format)
    for warning in startup_warnings(settings):
        log.warning(warning)
    bridge = build_bridge(settings)

    app = Flask(__name__)
    app.wsgi_app = UnmapIPv4(app.wsgi_app)  # type: ignore[method-assign]
    app.extensions["bridge"] = bridge
    app.register_blueprint(create_webhook(settings.all_tokens, bridge.drip_to_segment.outbox))
    if direction := bridge.segment_to_drip:
        _register_segment(app, settings, direction.outbox)
    app.register_blueprint(
        create_endpoints(bridge.watched, partial(has_token, token=settings.metrics_token))
    )
    app.register_blueprint(create_inspector(bridge))
    app.register_error_handler(HTTPException, _report_error)
    add_commands(app)
    return app


def _register_segment(app: Flask, settings: Settings, outbox: GroupCommit) -> None:
    """Let Segment's webhook and its SDKs in, each if it has a secret, and serve the plugin."""
    options = options_of(settings)
    app.register_blueprint(create_plugin(options))
    if secrets := settings.segment_webhook_secrets:
        app.register_blueprint(create_segment_webhook(secrets, outbox, options))
    if keys := settings.tracking_write_keys:
        app.register_blueprint(
            create_tracking(keys, outbox, options, settings.public_url, settings.trusted_proxies)
        )


def _report_error(error: HTTPException) -> ResponseReturnValue:
    """A page for a browser at an address that is no route, if the inspector is on; else JSON."""
    bridge = bridge_of()
    if bridge.settings.inspector_password and wants_page():
        return unknown_address(error, Notes(bridge.engine))
    return {"status": "refused", "error": error.name}, error.code or 500, error.get_headers()[1:]
