"""Warnings at start: settings that work, but not as the operator may expect."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

import click
from flask.cli import run_command

from app.config.environment import ENV_FILE
from app.config.fields import survives_in_url
from app.config.schema import KNOWN
from app.config.settings import Settings

TRACKING = "TRACKING_WRITE_KEYS"

CODE = Path(__file__).absolute().parent.parent.parent


def startup_warnings(settings: Settings) -> Iterator[str]:
    """Yield each warning as a sentence for the log."""
    for name in settings.unknown:
        yield f"{name} is no setting of the bridge and has no effect.{_suggest(name)}"
    if not all(map(survives_in_url, settings.all_tokens)):
        yield (
            "DRIP_WEBHOOK_TOKEN has a letter that means something else in a URL. Give Drip the URL "
            "that flask url prints: there it is encoded."
        )
    yield from _of_drip(settings)
    for name, given in (
        ("WAREHOUSE_EVERY", settings.warehouse_every),
        ("WAREHOUSE_DESTINATION", settings.warehouse_destination),
    ):
        if given and settings.warehouse_url is None:
            yield f"{name} has no effect without WAREHOUSE_URL."
    if settings.warehouse_url and find_spec("dlt") is None:
        yield (
            "WAREHOUSE_URL is set, but what loads into it is not installed: "
            "pip install '.[warehouse]'"
        )
    if Path.cwd() != CODE and (CODE / ENV_FILE).exists():
        yield f"{CODE / ENV_FILE} is not read: only one in the current folder, {Path.cwd()}, is."
    context = click.get_current_context(silent=True)
    if context and context.command is run_command:
        yield (
            f"flask run accepts webhooks on port {context.params['port']}, and sends nothing: for "
            "that run flask deliver, or gunicorn in place of both."
        )


def _of_drip(settings: Settings) -> Iterator[str]:
    """What is missing for Segment → Drip. One account with its token will do for most, and the
    `drip` commands use it too."""
    has_account = settings.drip_account_id and settings.drip_api_token
    if settings.is_segment_to_drip_on and not (has_account or settings.drip_api_tokens):
        name = "SEGMENT_WEBHOOK_SECRET" if settings.segment_webhook_secrets else TRACKING
        yield (
            f"{name} is set, but no account of Drip with its token: Segment's "
            "events are kept, and held until DRIP_ACCOUNT_ID and DRIP_API_TOKEN, or "
            "DRIP_API_TOKENS, are set."
        )
    if settings.drip_api_tokens and not settings.is_segment_to_drip_on:
        yield (
            f"DRIP_API_TOKENS has no effect without SEGMENT_WEBHOOK_SECRET or {TRACKING}, which "
            "turn Segment → Drip on."
        )


def _suggest(name: str) -> str:
    return "".join(f" Is {known} meant?" for known in get_close_matches(name, KNOWN, 1))
