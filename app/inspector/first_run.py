"""With nothing kept yet, `/` is the guide to the first event."""

from flask import render_template, request, url_for

from app.bridge import Bridge


def first_run_page(bridge: Bridge) -> str:
    """The webhook's URL to copy, what to do in Drip, and whether there is a write key."""
    settings = bridge.settings
    reveal = request.args.get("reveal") == "1"
    where = url_for("webhook.receive", _external=True)
    whole = url_for("webhook.receive", token=settings.webhook_tokens[0], _external=True)
    return render_template(
        "first_run.html",
        webhook=whole if reveal else f"{where}?token=•••",
        base=request.host_url.rstrip("/"),
        settings=settings,
        reveal=reveal,
    )
