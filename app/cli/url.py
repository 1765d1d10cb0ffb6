"""`url`: what to paste into Drip, and how to try it."""

import click
from flask.cli import with_appcontext

from app.bridge import bridge_of
from app.cli.webhook_url import webhook_url
from app.settings import Settings


@click.command()
@click.argument("base", default="http://127.0.0.1:8000")
@with_appcontext
def url(base: str) -> None:
    """Print the webhook's URL, secret included, as reached at BASE."""
    settings = bridge_of().settings
    webhook = webhook_url(base, settings.webhook_tokens[0])
    click.echo(f"\nWebhook URL, for Drip and nobody else:\n\n  {webhook}\n")
    click.echo(f"Try it:\n\n  curl --data-binary @samples/opened_email.json '{webhook}'\n")
    click.echo(_where_events_go(settings) + "\n")


def _where_events_go(settings: Settings) -> str:
    if settings.write_key or settings.write_keys:
        return f"Events go to Segment at {settings.segment_host}."
    return (
        "No write key is set: events are kept and held, and go out once SEGMENT_WRITE_KEY is set\n"
        "(in the environment, or as a line of a .env file) and the bridge is started again."
    )
